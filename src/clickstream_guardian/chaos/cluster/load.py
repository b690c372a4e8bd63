"""The load on the log: a generated day with labels, put there at a steady rate in its order."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from clickstream_guardian.chaos.load import make_load
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.files import as_events
from clickstream_guardian.sources.kafka.producer import EventProducer
from clickstream_guardian.sources.kafka.registry import SUBJECTS, SchemaRegistry
from clickstream_guardian.sources.spool import Order, build_spool

TICK_SECONDS = 0.05
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SINGLE_EVENTS = 64
"""Events of a session each; so many reach every partition."""


@dataclass(frozen=True)
class SteadyLoad:
    """Clicks in the order in which they are sent.

    Attributes:
        events: with their event_id.
        labels: family by session, of the injected attacks.
        rate: events per second.
    """

    events: pl.DataFrame
    labels: dict[str, str]
    rate: int

    @property
    def earlier(self) -> datetime:
        """An hour before its first event."""
        return self._times()[0] - _HOUR

    @property
    def later(self) -> datetime:
        """An hour after its last event."""
        return self._times()[-1] + _HOUR

    def rehearsal(self, count: int) -> SteadyLoad:
        """The first events a day before, of other sessions, as they may come ahead of the load."""
        first = self.events.head(count)
        numbers = np.random.default_rng().integers(0, 2**63, len(first))
        events = first.with_columns(
            pl.concat_str(pl.lit("before-"), "session_id").alias("session_id"),
            pl.col("occurred_at") - _DAY,
            pl.Series("event_id", numbers).cast(pl.UInt128),
        )
        return replace(self, events=events)

    def _times(self) -> list[datetime]:
        return self.events["occurred_at"].gather([0, -1]).to_list()

    @property
    def seconds(self) -> float:
        """How long it takes to send them."""
        return len(self.events) / self.rate


def steady_load(folder: Path, rate: int, seconds: float) -> SteadyLoad:
    """Generate about ``rate`` times ``seconds`` clicks of a day, attacks among them."""
    made = make_load(folder, rate, seconds)
    spool = build_spool(folder / "spool", made.clicks, CLICK, Order.TIME, datetime.now(UTC))
    days = [
        spool.part(name).sort("occurred_at", maintain_order=True) for name, _ in spool.index.parts
    ]
    spool.remove()
    return SteadyLoad(pl.concat(days), made.families(), rate)


def open_producer(settings: Settings) -> EventProducer:
    """A producer of clicks onto the stack's log."""
    known = {e.subject: e.schema_id for e in SchemaRegistry(settings.registry_url).register_all()}
    ids = {CLICK.name: known[SUBJECTS[f"{CLICK.name}-event.avsc"]]}
    return EventProducer(settings.kafka_servers, ids, settings.delivery_timeout_seconds)


class Sender:
    """Sends a load from a thread, event by event when it is due; what is late is made up for.

    Args:
        producer: puts them on the log.
        load: what to send.
        clock: seconds since watching began.
    """

    def __init__(self, producer: EventProducer, load: SteadyLoad) -> None:
        self._producer = producer
        self._load = load
        self._stop = threading.Event()
        self._error: GuardianError | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.began = 0.0

    def __enter__(self) -> Self:
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait(self) -> None:
        """Until all is sent and acknowledged, with some later events that close every window.

        Raises:
            GuardianError: some of it was given up.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._send_all()
            send_singles(self._producer, self._load.later)
        except GuardianError as error:
            self._error = error

    def _send_all(self) -> None:
        events, done = self._load.events, 0
        while done < len(events) and not self._stop.wait(TICK_SECONDS):
            due = min(len(events), int((time.monotonic() - self.began) * self._load.rate))
            self._producer.send(CLICK, as_events(events[done:due], CLICK))
            done = due


def send_singles(producer: EventProducer, occurred_at: datetime) -> None:
    """Send clicks to every partition, each of a session of its own, and wait until they are there.

    Sent first, they warm up what detects; sent last and much later, they close every window.
    """
    chance = np.random.default_rng()
    numbers = chance.integers(0, 2**63, _SINGLE_EVENTS)
    events = pl.DataFrame(
        {
            "session_id": [f"single-{number}" for number in numbers],
            "occurred_at": [occurred_at] * _SINGLE_EVENTS,
            "item_id": ["1"] * _SINGLE_EVENTS,
            "event_id": pl.Series(numbers).cast(pl.UInt128),
        },
        schema_overrides={"occurred_at": pl.Datetime("us", "UTC")},
    )
    producer.send(CLICK, as_events(events, CLICK))
    producer.flush()
