"""The schema registry: Apicurio, through its Confluent-compatible interface."""

from __future__ import annotations

from pathlib import Path

from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.postgres import OWNER
from clickstream_guardian.stack.probes import answers
from clickstream_guardian.stack.secrets import StackSecrets
from clickstream_guardian.stack.service import Service

COMPATIBILITY_PATH = "/apis/ccompat/v7"


def registry_environment(
    host: str, port: int, database_host: str, database_port: int, password: str
) -> dict[str, str]:
    """Apicurio's settings; the schemas are kept in PostgreSQL, so a kill loses none."""
    return {
        "QUARKUS_HTTP_HOST": host,
        "QUARKUS_HTTP_PORT": str(port),
        "APICURIO_STORAGE_KIND": "sql",
        "APICURIO_STORAGE_SQL_KIND": "postgresql",
        "APICURIO_DATASOURCE_URL": f"jdbc:postgresql://{database_host}:{database_port}/registry",
        "APICURIO_DATASOURCE_USERNAME": OWNER,
        "APICURIO_DATASOURCE_PASSWORD": password,
    }


def registry_service(
    settings: Settings, folder: Path, java: Path, jars: Path, secrets: StackSecrets
) -> Service:
    """The registry's process."""
    own = folder / "registry"
    port = settings.schema_registry_port
    base = f"http://{settings.stack_host}:{port}"
    # Its second listener, which nobody here asks, is on every address's port 9000 unless told
    # otherwise: two stacks of one machine could not live together.
    return Service(
        name="registry",
        group="registry",
        command=(
            # It answers a few questions a minute: what the first compiler makes of it is enough,
            # and the second would take processors from the others while it starts.
            *(str(java), "-Xms96m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("-jar", str(jars / "quarkus-run.jar")),
        ),
        folder=own,
        address=f"{base}{COMPATIBILITY_PATH}",
        ports=(port,),
        environment=registry_environment(
            settings.stack_host,
            port,
            settings.stack_host,
            settings.postgres_port,
            secrets.postgres_password,
        )
        | {"QUARKUS_MANAGEMENT_HOST": settings.stack_host, "QUARKUS_MANAGEMENT_PORT": "0"},
        probe=lambda: answers(f"{base}{COMPATIBILITY_PATH}/subjects"),
        prepare=lambda: own.mkdir(parents=True, exist_ok=True),
    )
