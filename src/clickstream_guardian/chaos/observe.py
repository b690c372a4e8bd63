"""Watches the output of a home from outside, several times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import psycopg

_PAUSE_SECONDS = 0.1
_FIRST_SAVED = "SELECT first_crossed_at, detected_at FROM anomaly_sessions"
_OUTPUT = """
    SELECT (SELECT coalesce(sum(next_offset), 0)::bigint FROM detector_positions),
           (SELECT coalesce(sum(anomaly_count), 0)::bigint FROM rule_totals)
"""


@dataclass(frozen=True)
class Sample:
    """The output at a moment; both None while the database is away.

    Attributes:
        at: seconds since watching began.
        judged: lines judged, and saved as such.
        anomalies: anomalies that can be read.
    """

    at: float
    judged: int | None = None
    anomalies: int | None = None


def away(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """From when to when the database was away: from the first sample in vain to the last."""
    found: list[tuple[float, float]] = []
    before: Sample | None = None
    for one in samples:
        if one.judged is None:
            begin = found.pop()[0] if before is not None and before.judged is None else one.at
            found.append((begin, one.at))
        before = one
    return found


class Observer:
    """Samples the database in a thread, as long as the ``with``.

    Args:
        url: of the database, as libpq reads it.
    """

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+psycopg", "postgresql")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self._began = time.monotonic()
        self.watched_from = time.time()
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def now(self) -> float:
        """Seconds since watching began."""
        return time.monotonic() - self._began

    def judged(self) -> int:
        """The last known number of lines judged."""
        known = [one.judged for one in self.samples if one.judged is not None]
        return known[-1] if known else 0

    def first_saved(self) -> list[tuple[datetime, datetime]]:
        """Of each anomaly the time of its crossing event, and when it was saved first."""
        with psycopg.connect(self._url, connect_timeout=10) as connection:
            return connection.execute(_FIRST_SAVED).fetchall()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            try:
                with psycopg.connect(self._url, connect_timeout=1, autocommit=True) as connection:
                    self._sample(connection)
            except psycopg.Error:
                self.samples.append(Sample(self.now()))

    def _sample(self, connection: psycopg.Connection) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            row = connection.execute(_OUTPUT).fetchone()
            if row is not None:
                self.samples.append(Sample(self.now(), *row))
