"""Produce a click or purchase file: decode it once, then put it on the log in its rhythm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.decode import FUTURE_TOLERANCE
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.events.identity import ids_to_arrow
from clickstream_guardian.events.schemas import arrow_schema
from clickstream_guardian.sources.kafka.pacing import Pacer
from clickstream_guardian.sources.kafka.producer import BATCH_MESSAGES, EventProducer
from clickstream_guardian.sources.kafka.rounds import in_round
from clickstream_guardian.sources.lines import check_file, fingerprint
from clickstream_guardian.sources.spool import Order, Spool, build_spool

SLICE_EVENTS = 5 * BATCH_MESSAGES
_SECOND_US = 1_000_000

Progress = Callable[[int, int], None]
"""Told the number of messages acknowledged, and how many one round of the file has."""


@dataclass(frozen=True)
class ProduceReport:
    """What was put on the log. ``seconds`` are those of sending alone, without decoding."""

    source: str
    events: int
    rejections: int
    rounds: int
    seconds: float

    @property
    def events_per_second(self) -> float:
        """Acknowledged messages a second."""
        return (self.events + self.rejections) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class FileTask:
    """A file to produce.

    Attributes:
        spool: folder for its decoded form; removed at the end.
        speed: see ``pacing.parse_speed``.
        max_events: take only the first so many lines.
        loop: begin again at the end, for ever.
        origin_us: see ``pacing.Pacer``.
    """

    kind: EventKind
    path: Path
    spool: Path
    order: Order = Order.TIME
    speed: float = float("inf")
    max_events: int | None = None
    loop: bool = False
    origin_us: int | None = None


def produce_file(producer: EventProducer, task: FileTask, progress: Progress) -> ProduceReport:
    """Put a file on the log, and wait until it is acknowledged.

    An interrupt (Ctrl-C) ends it early: what was sent is flushed and counted.

    Raises:
        UsageError: the file cannot be read.
        GuardianError: Kafka did not acknowledge everything in time.
    """
    check_file(task.path)
    received_at = datetime.now(UTC)
    source = fingerprint(task.path)
    spool = build_spool(
        task.spool, task.path, task.kind, task.order, received_at, max_rows=task.max_events
    )
    started = time.monotonic()
    rounds = 0
    try:
        name = task.path.name
        producer.reject(
            task.kind, spool.rejections().iter_rows(named=True), source, name, received_at
        )
        for number in _rounds(producer, task, spool, progress):
            rounds = number
            if not task.loop:
                break
    except KeyboardInterrupt:
        pass
    finally:
        spool.remove()
    producer.flush()
    return ProduceReport(
        source=source,
        events=producer.events_sent,
        rejections=producer.rejections_sent,
        rounds=rounds,
        seconds=time.monotonic() - started,
    )


def produce_together(
    tasks: Sequence[FileTask],
    open_producer: Callable[[EventKind], EventProducer],
    progress: Progress,
) -> list[ProduceReport]:
    """Put several files on the log side by side, each by a producer of its own.

    Raises:
        UsageError: a file cannot be read.
        GuardianError: Kafka did not acknowledge everything in time.
    """

    def run(task: FileTask) -> ProduceReport:
        with open_producer(task.kind) as producer:
            return produce_file(producer, task, progress)

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def _rounds(
    producer: EventProducer, task: FileTask, spool: Spool, progress: Progress
) -> Iterator[int]:
    """Send round after round; yields the number of each that is complete."""
    pacer = Pacer(task.speed, task.origin_us)
    total = spool.index.rows
    first_us, last_us = 0, 0
    number = 0
    while spool.index.parts:
        for events in _slices(spool, task.order):
            if number == 0:
                low, high = _bounds(events)
                first_us, last_us = min(first_us or low, low), max(last_us, high)
            sent = in_round(task.kind, events, number, last_us - first_us + _SECOND_US)
            for due in pacer.paced(sent):
                producer.send(task.kind, due)
                progress(producer.acknowledged, total)
        number += 1
        yield number
        _refuse_future(last_us + number * (last_us - first_us + _SECOND_US))


def _slices(spool: Spool, order: Order) -> Iterator[pa.Table]:
    for name, _ in spool.index.parts:
        part = spool.part(name)
        if order is Order.TIME:
            part = part.sort("occurred_at", maintain_order=True)
        for chunk in part.iter_slices(SLICE_EVENTS):
            yield as_events(chunk, spool.kind)


def as_events(part: pl.DataFrame, kind: EventKind) -> pa.Table:
    """A spool's frame as the columns of ``arrow_schema(kind)``; what the file lacks is null."""
    schema = arrow_schema(kind)
    ids = ids_to_arrow(part["event_id"])
    rest = part.drop("event_id").to_arrow()
    columns = [
        ids
        if field.name == "event_id"
        else rest[field.name].cast(field.type)
        if field.name in rest.column_names
        else pa.nulls(len(part), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _bounds(events: pa.Table) -> tuple[int, int]:
    micros = events["occurred_at"].cast(pa.int64()).to_numpy()
    return int(micros.min()), int(micros.max())


def _refuse_future(last_us: int) -> None:
    latest = datetime.now(UTC) + FUTURE_TOLERANCE
    if datetime.fromtimestamp(0, UTC) + timedelta(microseconds=last_us) > latest:
        raise GuardianError(
            "The next round of the loop would reach into the future, where events are rejected; "
            "start it anew, or loop over a file of fewer or earlier days."
        )
