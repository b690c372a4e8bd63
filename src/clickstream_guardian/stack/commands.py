"""The sub-commands of the cluster profile: stack, topics, schemas, connectors.

``cli`` mounts the four Typer applications, and ``produce_app`` of ``produce_commands``; errors
travel as ``GuardianError`` to its one handler. Heavy imports wait until a command runs, so that
``guardian --help`` needs no extra.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.settings import load_settings
from clickstream_guardian.stack.screen import ERR, OUT, Json, mib, print_table

if TYPE_CHECKING:
    from clickstream_guardian.stack.lifecycle import ServiceStatus

stack_app = typer.Typer(help="Start, check and stop the servers natively.", no_args_is_help=True)
topics_app = typer.Typer(help="The topics of the log.", no_args_is_help=True)
schemas_app = typer.Typer(help="The event schemas and their registry.", no_args_is_help=True)
connectors_app = typer.Typer(help="Landing from Kafka into the lake.", no_args_is_help=True)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


# --- stack


@stack_app.command("up")
def stack_up(
    only: Annotated[
        str,
        typer.Option(
            help="Groups to start (with what they need): kafka,airflow,…; all but airflow."
        ),
    ] = "",
    s3: Annotated[str | None, typer.Option(help="S3 server: seaweedfs, minio or none.")] = None,
) -> None:
    """Start the servers in order, each when those before it are ready. Idempotent.

    Example: guardian stack up --only kafka,registry
    """
    from clickstream_guardian.stack import lifecycle
    from clickstream_guardian.stack.secrets import load_or_create_secrets

    settings = load_settings(s3_server=s3)
    secrets, created = load_or_create_secrets(settings.home_path)
    if created:  # at once: a start that fails later does not show them again
        OUT.print("Passwords, shown this once (kept in secrets/stack.json of the home):")
        OUT.print(f"  PostgreSQL  guardian / {secrets.postgres_password}", highlight=False)
        OUT.print(
            f"  S3          {secrets.s3_access_key} / {secrets.s3_secret_key}", highlight=False
        )
        OUT.print(f"  Airflow     guardian / {secrets.airflow_password}", highlight=False)
    lifecycle.up(settings, _names(only), lambda line: ERR.print(line, highlight=False))
    _print_services(lifecycle.status(settings))
    OUT.print('Other commands use these servers after: eval "$(guardian stack env)"')


@stack_app.command("status")
def stack_status(as_json: Json = False) -> None:
    """Show each server's address, account, state and memory."""
    from clickstream_guardian.stack.lifecycle import status

    rows = status(load_settings())
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
    elif rows:
        _print_services(rows)
    else:
        OUT.print("The stack is down; start it with `guardian stack up`.")


@stack_app.command("logs")
def stack_logs(
    name: Annotated[str, typer.Argument(help="Server, such as kafka-1.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("-n", help="Lines from the end.")] = 100,
) -> None:
    """Print the end of a server's log."""
    from clickstream_guardian.stack.lifecycle import log_file

    with log_file(load_settings(), name).open(errors="replace") as log:
        sys.stdout.writelines(log.readlines()[-lines:])
        while follow:
            sys.stdout.writelines(log.readlines())
            sys.stdout.flush()
            time.sleep(0.3)


@stack_app.command("down")
def stack_down() -> None:
    """Stop every server; what they keep stays."""
    from clickstream_guardian.stack.lifecycle import down

    OUT.print("The stack is down." if down(load_settings()) else "The stack was not running.")


@stack_app.command("destroy")
def stack_destroy(yes: Yes = False) -> None:
    """Stop every server and delete topics, lake, database and passwords."""
    from clickstream_guardian.stack.lifecycle import destroy, stack_folder

    settings = load_settings()
    if not yes:
        typer.confirm(f"Delete everything in {stack_folder(settings)}?", abort=True)
    destroy(settings)
    OUT.print("The stack and all it kept are gone.")


@stack_app.command("env")
def stack_env() -> None:
    """Print the variables that point every other command at this stack.

    Example: eval "$(guardian stack env)"
    """
    from clickstream_guardian.stack.endpoints import as_exports, environment

    print(as_exports(environment(load_settings())))


# --- topics


@topics_app.command("create")
def topics_create() -> None:
    """Create the topics that are missing and set their retention. Idempotent."""
    from clickstream_guardian.sources.kafka.topics import create_topics

    settings = load_settings()
    for name, what in create_topics(settings.kafka_servers, settings.topic_partitions).items():
        OUT.print(f"{name}: {what}", highlight=False)


# --- schemas


@schemas_app.command("register")
def schemas_register() -> None:
    """Register the three schemas under BACKWARD compatibility. Idempotent."""
    from clickstream_guardian.sources.kafka.registry import SchemaRegistry

    for entry in SchemaRegistry(load_settings().registry_url).register_all():
        OUT.print(f"{entry.subject}: schema id {entry.schema_id}", highlight=False)


@schemas_app.command("check")
def schemas_check(
    released: Annotated[
        Path | None,
        typer.Option(help="Folder of released .avsc files to check against, without a registry."),
    ] = None,
) -> None:
    """Check that today's schemas can read what the released (or registered) ones wrote."""
    from clickstream_guardian.sources.kafka.checks import check_registered, check_released

    settings = load_settings()
    found = check_released(released) if released else check_registered(settings.registry_url)
    if found:
        raise GuardianError("The schemas break their readers: " + " ".join(found))
    OUT.print("Every schema is backward compatible.")


# --- connectors


@connectors_app.command("apply")
def connectors_apply() -> None:
    """Make the lake's tables, and create or update the landing connectors. Idempotent."""
    from clickstream_guardian.stack.connectors import Connect
    from clickstream_guardian.stack.landing import make_tables

    settings = load_settings()
    make_tables(settings)
    for name in Connect(settings.connect_url).apply():
        OUT.print(f"{name}: applied", highlight=False)


@connectors_app.command("status")
def connectors_status(as_json: Json = False) -> None:
    """Show each connector's and task's state."""
    from clickstream_guardian.stack.connectors import Connect

    rows = Connect(load_settings().connect_url).status()
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print_table(
        ("connector", "state", "tasks", "trouble"),
        [(row.name, row.state, ", ".join(row.tasks), row.trouble[:80]) for row in rows],
    )


@connectors_app.command("delete")
def connectors_delete() -> None:
    """Delete the landing connectors; what they landed stays."""
    from clickstream_guardian.stack.connectors import Connect

    gone = Connect(load_settings().connect_url).delete()
    OUT.print(f"Deleted: {', '.join(gone) or 'nothing, there were none'}.")


@connectors_app.command("audit")
def connectors_audit(as_json: Json = False) -> None:
    """Count (partition, offset) of the log that are missing from the lake, or there twice."""
    from clickstream_guardian.stack.landing import audit, open_cluster_lake

    settings = load_settings()
    with open_cluster_lake(settings) as lake:
        found = audit(settings, lake)
    if as_json:
        print(json.dumps([asdict(row) for row in found]))
    else:
        print_table(
            ("topic", "messages", "landed", "dead letters", "missing", "repeated"),
            [
                (r.topic, *map(str, (r.messages, r.landed, r.rejected, r.missing, r.repeated)))
                for r in found
            ],
        )


@connectors_app.command("repair")
def connectors_repair() -> None:
    """Remove rows that were landed more than once. Idempotent; the connectors may run meanwhile."""
    from clickstream_guardian.stack.landing import open_cluster_lake
    from clickstream_guardian.stack.repair import remove_repeats

    with open_cluster_lake(load_settings()) as lake:
        for table, removed in remove_repeats(lake).items():
            OUT.print(f"raw.{table}: {removed} repeated rows removed", highlight=False)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _print_services(rows: Iterable[ServiceStatus]) -> None:
    rows = list(rows)
    print_table(
        ("server", "address", "account", "state", "memory", "up"),
        [
            (r.name, r.address, r.account, r.state, mib(r.memory_bytes), f"{r.up_seconds} s")
            for r in rows
        ],
    )
    OUT.print(f"Memory in all: {mib(sum(row.memory_bytes for row in rows))}", highlight=False)
