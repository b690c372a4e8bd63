"""Kafka Connect with the Iceberg sink and our own converter and transforms."""

from __future__ import annotations

import shutil
from pathlib import Path

from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.kafka import LOGGING, as_properties
from clickstream_guardian.stack.postgres import OWNER
from clickstream_guardian.stack.probes import answers
from clickstream_guardian.stack.s3 import s3_keys
from clickstream_guardian.stack.secrets import StackSecrets, write_private
from clickstream_guardian.stack.service import Service

WORKER = {
    "group.id": "guardian-connect",
    "config.storage.topic": "connect-configs",
    "offset.storage.topic": "connect-offsets",
    "status.storage.topic": "connect-status",
    "config.storage.replication.factor": "3",
    "offset.storage.replication.factor": "3",
    "status.storage.replication.factor": "3",
    "offset.storage.partitions": "3",
    "status.storage.partitions": "2",
    "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "plugin.discovery": "service_load",
    "config.providers": "env",
    "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    "config.providers.env.param.allowlist.pattern": "LANDING_.*",
    "connector.client.config.override.policy": "All",
    "session.timeout.ms": "10000",
    "heartbeat.interval.ms": "2000",
    # An idle sink task hears of a commit only when its poll returns, that is at this interval;
    # with the default of a minute the quiet topic stalls every commit (iceberg issue 17811).
    "offset.flush.interval.ms": "1000",
    "scheduled.rebalance.max.delay.ms": "0",
    "task.shutdown.graceful.timeout.ms": "10000",
}
"""What workers share natively and in Compose. Connector files hold no secret: they name
environment variables of the worker, which its provider fills in."""


def landing_environment(
    *, registry: str, jdbc: str, password: str, s3: str, keys: tuple[str, str], bucket: str, ms: int
) -> dict[str, str]:
    """The variables that ``deploy/connect/*.json`` name."""
    return {
        "LANDING_REGISTRY_URL": registry,
        "LANDING_CATALOG_URL": jdbc,
        "LANDING_CATALOG_USER": OWNER,
        "LANDING_CATALOG_PASSWORD": password,
        "LANDING_S3_URL": s3,
        "LANDING_S3_ACCESS_KEY": keys[0],
        "LANDING_S3_SECRET_KEY": keys[1],
        "LANDING_WAREHOUSE": f"s3://{bucket}/warehouse",
        "LANDING_COMMIT_MS": str(ms),
    }


def connect_service(
    settings: Settings, folder: Path, java: Path, jars: dict[str, Path], secrets: StackSecrets
) -> Service:
    """The worker's process."""
    own = folder / "connect"
    plugins, properties = own / "plugins", own / "worker.properties"
    logging = own / "log4j2.properties"
    host, port = settings.stack_host, settings.connect_port
    worker = {
        "bootstrap.servers": settings.kafka_servers,
        "listeners": f"http://{host}:{port}",
        "rest.advertised.host.name": host,
        "plugin.path": str(plugins),
        **WORKER,
    }

    def prepare() -> None:
        own.mkdir(parents=True, exist_ok=True)
        write_private(properties, as_properties(worker))
        logging.write_text(LOGGING.replace("{level}", "INFO"))
        _link_plugins(plugins / "iceberg", [jars["iceberg-sink"], jars["connect-plugin"]])

    return Service(
        name="connect",
        group="connect",
        command=(
            *(str(java), "-Xms256m", "-Xmx1024m", "-XX:+UseG1GC", "-Duser.timezone=UTC"),
            f"-Dlog4j2.configurationFile={logging}",
            *("-cp", f"{jars['kafka']}/*"),
            *("org.apache.kafka.connect.cli.ConnectDistributed", str(properties)),
        ),
        folder=own,
        address=f"http://{host}:{port}",
        ports=(port,),
        environment=landing_environment(
            registry=settings.registry_url,
            jdbc=f"jdbc:postgresql://{host}:{settings.postgres_port}/guardian",
            password=secrets.postgres_password,
            s3=settings.s3_url,
            keys=s3_keys(settings, secrets),
            bucket=settings.s3_bucket,
            ms=settings.landing_commit_seconds * 1000,
        ),
        probe=lambda: answers(f"http://{host}:{port}/connectors"),
        prepare=prepare,
    )


def _link_plugins(target: Path, sources: list[Path]) -> None:
    """One plugin folder (one class loader) of links into the cache."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for source in sources:
        for jar in source.glob("*.jar"):
            (target / jar.name).symlink_to(jar)
