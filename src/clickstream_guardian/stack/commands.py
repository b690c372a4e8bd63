"""The sub-commands of the cluster profile: stack, topics, schemas, connectors, produce.

``cli`` mounts the five Typer applications; errors travel as ``GuardianError`` to its one handler.
Heavy imports wait until a command runs, so that ``guardian --help`` needs no extra.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.table import Table

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.settings import Settings, load_settings

if TYPE_CHECKING:
    from clickstream_guardian.stack.lifecycle import ServiceStatus

stack_app = typer.Typer(help="Start, check and stop the servers natively.", no_args_is_help=True)
topics_app = typer.Typer(help="The topics of the log.", no_args_is_help=True)
schemas_app = typer.Typer(help="The event schemas and their registry.", no_args_is_help=True)
connectors_app = typer.Typer(help="Landing from Kafka into the lake.", no_args_is_help=True)
produce_app = typer.Typer(help="Put files of events on the log.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of a table.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_out = Console()
_err = Console(stderr=True)


# --- stack


@stack_app.command("up")
def stack_up(
    only: Annotated[
        str, typer.Option(help="Groups to start (with what they need): kafka,registry,…")
    ] = "",
    s3: Annotated[str | None, typer.Option(help="S3 server: seaweedfs, minio or none.")] = None,
) -> None:
    """Start the servers in order, each when those before it are ready. Idempotent.

    Example: guardian stack up --only kafka,registry
    """
    from clickstream_guardian.stack import lifecycle
    from clickstream_guardian.stack.endpoints import cluster_secrets

    settings = load_settings(s3_server=s3)
    created = lifecycle.up(settings, _names(only), lambda line: _err.print(line, highlight=False))
    _print_services(lifecycle.status(settings))
    if created:
        secrets = cluster_secrets(settings)
        _out.print("Passwords, shown this once (kept in secrets/stack.json of the home):")
        _out.print(f"  PostgreSQL  guardian / {secrets.postgres_password}", highlight=False)
        _out.print(
            f"  S3          {secrets.s3_access_key} / {secrets.s3_secret_key}", highlight=False
        )
    _out.print('Other commands use these servers after: eval "$(guardian stack env)"')


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
        _out.print("The stack is down; start it with `guardian stack up`.")


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

    _out.print("The stack is down." if down(load_settings()) else "The stack was not running.")


@stack_app.command("destroy")
def stack_destroy(yes: Yes = False) -> None:
    """Stop every server and delete topics, lake, database and passwords."""
    from clickstream_guardian.stack.lifecycle import destroy, stack_folder

    settings = load_settings()
    if not yes:
        typer.confirm(f"Delete everything in {stack_folder(settings)}?", abort=True)
    destroy(settings)
    _out.print("The stack and all it kept are gone.")


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
        _out.print(f"{name}: {what}", highlight=False)


# --- schemas


@schemas_app.command("register")
def schemas_register() -> None:
    """Register the three schemas under BACKWARD compatibility. Idempotent."""
    from clickstream_guardian.sources.kafka.registry import SchemaRegistry

    for entry in SchemaRegistry(load_settings().registry_url).register_all():
        _out.print(f"{entry.subject}: schema id {entry.schema_id}", highlight=False)


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
    _out.print("Every schema is backward compatible.")


# --- connectors


@connectors_app.command("apply")
def connectors_apply() -> None:
    """Make the lake's tables, and create or update the landing connectors. Idempotent."""
    from clickstream_guardian.stack.connectors import Connect
    from clickstream_guardian.stack.landing import make_tables

    settings = load_settings()
    make_tables(settings)
    for name in Connect(settings.connect_url).apply():
        _out.print(f"{name}: applied", highlight=False)


@connectors_app.command("status")
def connectors_status(as_json: Json = False) -> None:
    """Show each connector's and task's state."""
    from clickstream_guardian.stack.connectors import Connect

    rows = Connect(load_settings().connect_url).status()
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    _print_table(
        ("connector", "state", "tasks", "trouble"),
        [(row.name, row.state, ", ".join(row.tasks), row.trouble[:80]) for row in rows],
    )


@connectors_app.command("delete")
def connectors_delete() -> None:
    """Delete the landing connectors; what they landed stays."""
    from clickstream_guardian.stack.connectors import Connect

    gone = Connect(load_settings().connect_url).delete()
    _out.print(f"Deleted: {', '.join(gone) or 'nothing, there were none'}.")


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
        _print_table(
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
            _out.print(f"raw.{table}: {removed} repeated rows removed", highlight=False)


# --- produce


@produce_app.command("clicks")
def produce_clicks(
    file: Annotated[Path, typer.Argument(help="Click file, plain, .gz or .zst.")],
    max_events: Annotated[int | None, typer.Option(help="Only the first N lines.")] = None,
    replay_speed: Annotated[
        str | None, typer.Option(help="`max`, or how many times faster than event time.")
    ] = None,
    loop: Annotated[bool, typer.Option(help="Again and again, later and in new sessions.")] = False,
    order: Annotated[str, typer.Option(help="time or file.")] = "time",
    as_json: Json = False,
) -> None:
    """Put a click file on the log.

    Example: guardian produce clicks yoochoose-clicks.dat --replay-speed 100
    """
    _produce(CLICK, file, max_events, replay_speed, loop, order, as_json)


@produce_app.command("purchases")
def produce_purchases(
    file: Annotated[Path, typer.Argument(help="Purchase file, plain, .gz or .zst.")],
    max_events: Annotated[int | None, typer.Option(help="Only the first N lines.")] = None,
    replay_speed: Annotated[
        str | None, typer.Option(help="`max`, or how many times faster than event time.")
    ] = None,
    loop: Annotated[bool, typer.Option(help="Again and again, later and in new sessions.")] = False,
    order: Annotated[str, typer.Option(help="time or file.")] = "time",
    as_json: Json = False,
) -> None:
    """Put a purchase file on the log.

    Example: guardian produce purchases yoochoose-buys.dat --max-events 1000
    """
    _produce(PURCHASE, file, max_events, replay_speed, loop, order, as_json)


def add_generator(write: Callable[..., GeneratedFiles]) -> None:
    """Add ``produce generated``; ``cli`` brings the generator, which is ``lab.write_dataset``."""

    @produce_app.command("generated")
    def produce_generated(
        sessions: Annotated[int, typer.Option(help="Clean sessions.")] = 10_000,
        day: Annotated[str, typer.Option(help="UTC day of the traffic.")] = "2014-04-07",
        seed: Annotated[int, typer.Option(help="Same seed, same traffic.")] = 1,
        attacks: Annotated[str, typer.Option(help="none, default or a plan file.")] = "default",
        replay_speed: Annotated[
            str | None, typer.Option(help="`max`, or how many times faster than event time.")
        ] = None,
    ) -> None:
        """Generate a day of traffic, and put clicks and purchases on the log together.

        Example: guardian produce generated --sessions 50000 --replay-speed 60
        """
        settings = load_settings(replay_speed=replay_speed)
        only = date.fromisoformat(day)
        spool = settings.home_path / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=spool) as folder:
            made = write(folder, sessions=sessions, days=(only, only), seed=seed, attacks=attacks)
            _produce_generated(settings, made, only, Path(folder))


class GeneratedFiles(Protocol):
    """What a generator leaves."""

    @property
    def clicks_file(self) -> Path:
        """The clicks."""

    @property
    def purchases_file(self) -> Path:
        """The purchases."""


def _produce_generated(settings: Settings, made: GeneratedFiles, day: date, folder: Path) -> None:
    from clickstream_guardian.sources.kafka.files import FileTask, produce_together
    from clickstream_guardian.sources.kafka.pacing import parse_speed

    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    tasks = [
        FileTask(
            kind=kind,
            path=path,
            spool=folder / kind.name,
            speed=parse_speed(settings.replay_speed),
            origin_us=int(midnight.timestamp() * 1_000_000),
        )
        for kind, path in ((CLICK, made.clicks_file), (PURCHASE, made.purchases_file))
    ]
    with _progress("events") as show:
        reports = produce_together(tasks, lambda: _open_producer(settings), show)
    for task, report in zip(tasks, reports, strict=True):
        _out.print(f"{report.events:,} {task.kind.name}s acknowledged in {report.seconds:.1f} s")


def _produce(
    kind: EventKind,
    file: Path,
    max_events: int | None,
    replay_speed: str | None,
    loop: bool,
    order: str,
    as_json: bool,
) -> None:
    from clickstream_guardian.sources.kafka.files import FileTask, produce_file
    from clickstream_guardian.sources.kafka.pacing import parse_speed
    from clickstream_guardian.sources.spool import Order

    settings = load_settings(replay_speed=replay_speed)
    if order not in tuple(Order):
        raise UsageError(f"Order {order!r} is not known; give time or file.")
    task = FileTask(
        kind=kind,
        path=file,
        spool=settings.home_path / "spool" / f"produce-{kind.name}-{time.time_ns()}",
        order=Order(order),
        speed=parse_speed(settings.replay_speed),
        max_events=max_events,
        loop=loop,
    )
    with _open_producer(settings) as producer, _progress(f"{kind.name}s") as show:
        report = produce_file(producer, task, show)
    if as_json:
        print(json.dumps(asdict(report) | {"events_per_second": report.events_per_second}))
        return
    _out.print(
        f"{report.events:,} events and {report.rejections:,} dead letters acknowledged in "
        f"{report.seconds:.1f} s ({report.events_per_second:,.0f} a second)."
    )


def _open_producer(settings: Settings) -> Any:
    from clickstream_guardian.sources.kafka.producer import EventProducer
    from clickstream_guardian.sources.kafka.registry import SUBJECTS, SchemaRegistry

    registry = SchemaRegistry(settings.registry_url)
    by_subject = {entry.subject: entry.schema_id for entry in registry.register_all()}
    ids = {kind.name: by_subject[SUBJECTS[f"{kind.name}-event.avsc"]] for kind in (CLICK, PURCHASE)}
    return EventProducer(settings.kafka_servers, ids, settings.delivery_timeout_seconds)


def _progress(what: str) -> Any:
    from clickstream_guardian.stack.progress import message_progress

    return message_progress(_err, what)


# --- output


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _print_services(rows: Iterable[ServiceStatus]) -> None:
    rows = list(rows)
    _print_table(
        ("server", "address", "account", "state", "memory", "up"),
        [
            (r.name, r.address, r.account, r.state, _mib(r.memory_bytes), f"{r.up_seconds} s")
            for r in rows
        ],
    )
    _out.print(f"Memory in all: {_mib(sum(row.memory_bytes for row in rows))}", highlight=False)


def _mib(count: int) -> str:
    return f"{count / (1 << 20):,.0f} MiB"


def _print_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    _out.print(table)
