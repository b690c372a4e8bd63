"""Watches a run on the cluster from outside, several times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg

from clickstream_guardian.chaos.api import ApiLook
from clickstream_guardian.chaos.cluster.detection import positions
from clickstream_guardian.events.fields import CLICK

APPLICATION = "guardian-chaos"
"""By which the watcher's connection is known in the database."""
_PAUSE_SECONDS = 0.1
_SLOW_PAUSE_SECONDS = 0.5
_ANOMALIES = (
    "SELECT anomaly_id, crossed_event_id, change_id FROM anomaly_sessions "
    "WHERE change_id > %s ORDER BY change_id"
)


@dataclass(frozen=True)
class Look:
    """What was saved at a moment.

    Attributes:
        at: seconds since watching began.
        next_offsets: of the clicks' partitions; None while the database is away.
    """

    at: float
    next_offsets: dict[int, int] | None


@dataclass(frozen=True)
class Landed:
    """What the lake held at a moment.

    Attributes:
        at: seconds since watching began.
        rows: of its newest snapshot.
        committed: seconds since watching began when that was made.
    """

    at: float
    rows: int
    committed: float


@dataclass
class Seen:
    """All that was seen.

    Attributes:
        crossings: of each anomaly, when it was first readable and the event at which it crossed.
        signs: when each sign of trouble was first there.
        landed: what the lake held over time, where that is watched.
        api: how the API answered.
    """

    looks: list[Look] = field(default_factory=list)
    crossings: dict[str, tuple[float, str]] = field(default_factory=dict)
    signs: list[tuple[float, str]] = field(default_factory=list)
    landed: list[Landed] = field(default_factory=list)
    api: list[ApiLook] = field(default_factory=list)


class Watcher:
    """Watches a group's output and, apart from it, for signs of trouble, as long as the ``with``.

    Args:
        database: where the group saves.
        group: the detecting group.
        troubles: names what is wrong at present; may take its time.
        landed: rows of the lake and when they were committed, seconds since 1970; fails while it
            cannot be read.
    """

    def __init__(
        self,
        database: str,
        group: str,
        troubles: Callable[[], list[str]],
        landed: Callable[[], tuple[int, float]] | None = None,
    ) -> None:
        self._database = database
        self._group = group
        self._troubles = troubles
        self._landed = landed
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=run, name=run.__name__, daemon=True)
            for run in (self._watch_output, self._watch_signs, self._watch_lake)
        ]
        self.began = time.monotonic()
        self._began_at = time.time()
        self.seen = Seen()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def now(self) -> float:
        """Seconds since watching began."""
        return time.monotonic() - self.began

    def look_again(self, wait: Callable[[Callable[[], bool]], None]) -> None:
        """Wait until everything watched was looked at again, from now on."""
        tracks: list[list[Any]] = [self.seen.looks]
        tracks += [self.seen.landed] if self._landed is not None else []
        for track in tracks:
            enough = len(track) + 2  # a look that is under way may have begun before
            wait(lambda track=track, enough=enough: len(track) >= enough)  # type: ignore[misc]

    def _watch_output(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            try:
                with psycopg.connect(
                    self._database,
                    connect_timeout=1,
                    autocommit=True,
                    application_name=APPLICATION,
                ) as one:
                    self._look(one)
            except psycopg.Error:
                self.seen.looks.append(Look(self.now(), None))

    def _look(self, connection: psycopg.Connection) -> None:
        last = 0
        while not self._stop.wait(_PAUSE_SECONDS):
            saved = positions(connection, self._group)
            rows = connection.execute(_ANOMALIES, (last,)).fetchall()
            now = self.now()
            clicks = {place: at for (topic, place), at in saved.items() if topic == CLICK.topic}
            self.seen.looks.append(Look(now, clicks))
            for anomaly_id, crossed, change_id in rows:
                last = max(last, change_id)
                self.seen.crossings.setdefault(anomaly_id, (now, crossed))

    def _watch_signs(self) -> None:
        while not self._stop.wait(_SLOW_PAUSE_SECONDS):
            found = self._troubles()
            self.seen.signs += [(self.now(), sign) for sign in found]

    def _watch_lake(self) -> None:
        while self._landed is not None and not self._stop.wait(_SLOW_PAUSE_SECONDS):
            with suppress(Exception):  # whatever the storage's client fails with while it is away
                rows, committed_at = self._landed()
                self.seen.landed.append(Landed(self.now(), rows, committed_at - self._began_at))
