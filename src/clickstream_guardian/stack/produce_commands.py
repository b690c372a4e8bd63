"""The sub-commands that put events on the log: ``produce clicks|purchases|generated``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.settings import Settings, load_settings
from clickstream_guardian.stack.screen import ERR, OUT, Json, message_progress

if TYPE_CHECKING:
    from clickstream_guardian.sources.kafka.producer import EventProducer

produce_app = typer.Typer(help="Put events on the log.", no_args_is_help=True)

MaxEvents = Annotated[int | None, typer.Option(help="Only the first N lines.")]
Speed = Annotated[str | None, typer.Option(help="`max`, or how many times faster than event time.")]
Loop = Annotated[bool, typer.Option(help="Again and again, later and in new sessions.")]
InOrder = Annotated[str, typer.Option(help="time or file.")]


@produce_app.command("clicks")
def produce_clicks(
    file: Annotated[Path, typer.Argument(help="Click file, plain, .gz or .zst.")],
    max_events: MaxEvents = None,
    replay_speed: Speed = None,
    loop: Loop = False,
    order: InOrder = "time",
    as_json: Json = False,
) -> None:
    """Put a click file on the log.

    Example: guardian produce clicks yoochoose-clicks.dat --replay-speed 100
    """
    _produce(CLICK, file, max_events, replay_speed, loop, order, as_json)


@produce_app.command("purchases")
def produce_purchases(
    file: Annotated[Path, typer.Argument(help="Purchase file, plain, .gz or .zst.")],
    max_events: MaxEvents = None,
    replay_speed: Speed = None,
    loop: Loop = False,
    order: InOrder = "time",
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
        replay_speed: Speed = None,
    ) -> None:
        """Generate a day of traffic, and put clicks and purchases on the log together.

        Example: guardian produce generated --sessions 50000 --replay-speed 60
        """
        settings = load_settings(replay_speed=replay_speed)
        only = _day(day)
        spool = settings.home_path / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=spool) as folder:
            made = write(folder, sessions=sessions, days=(only, only), seed=seed, attacks=attacks)
            _produce_generated(settings, made, only, Path(folder))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"Day {text!r} is no date; give one such as 2014-04-07.") from error


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
    with _watched(settings) as open_watched, message_progress("events") as show:
        reports = produce_together(tasks, open_watched, show)
    for task, report in zip(tasks, reports, strict=True):
        OUT.print(f"{report.events:,} {task.kind.name}s acknowledged in {report.seconds:.1f} s")


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
    with (
        _watched(settings) as open_watched,
        open_watched(kind) as producer,
        message_progress(f"{kind.name}s") as show,
    ):
        report = produce_file(producer, task, show)
    if as_json:
        print(json.dumps(asdict(report) | {"events_per_second": report.events_per_second}))
        return
    OUT.print(
        f"{report.events:,} events and {report.rejections:,} dead letters acknowledged in "
        f"{report.seconds:.1f} s ({report.events_per_second:,.0f} a second)."
    )


@contextmanager
def _watched(settings: Settings) -> Iterator[Callable[[EventKind], EventProducer]]:
    """Opens producers, whose course is told to Prometheus where the settings ask for it."""
    if settings.metrics_port is None:
        yield lambda _: _open_producer(settings)
        return
    from clickstream_guardian.telemetry.process import metrics_as_set
    from clickstream_guardian.telemetry.produce import ProduceMetrics

    metrics = ProduceMetrics()

    def opened(kind: EventKind) -> EventProducer:
        producer = _open_producer(settings)
        metrics.watch(kind.name, producer)
        return producer

    with metrics_as_set(metrics.registry, settings, "guardian_produce") as address:
        ERR.print(f"Metrics: {address}")
        yield opened


def _open_producer(settings: Settings) -> EventProducer:
    from clickstream_guardian.sources.kafka.producer import EventProducer
    from clickstream_guardian.sources.kafka.registry import SUBJECTS, SchemaRegistry

    registry = SchemaRegistry(settings.registry_url)
    by_subject = {entry.subject: entry.schema_id for entry in registry.register_all()}
    ids = {kind.name: by_subject[SUBJECTS[f"{kind.name}-event.avsc"]] for kind in (CLICK, PURCHASE)}
    return EventProducer(settings.kafka_servers, ids, settings.delivery_timeout_seconds)
