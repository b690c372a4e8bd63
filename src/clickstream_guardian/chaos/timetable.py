"""When which line of an embedded load was due, and how far its output was behind that. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from clickstream_guardian.chaos.observe import Sample
from clickstream_guardian.sources.stream_clock import StreamClock

_BEHIND_SECONDS = 1.0
"""Output counts as even with the load while everything due so long ago is saved."""


@dataclass(frozen=True)
class Timetable:
    """What is due when, in seconds since watching began.

    Attributes:
        times_us: event times of the load in their order, in microseconds since 1970.
        clock: the stream's.
        watched_from: when watching began, in seconds since 1970.
    """

    times_us: NDArray[np.int64]
    clock: StreamClock
    watched_from: float

    def due(self, at: float) -> int:
        """Lines that were due by a moment."""
        now_us = self.clock.due_us(self.watched_from + at)
        return int(np.searchsorted(self.times_us, now_us, side="right"))

    def lag(self, samples: Sequence[Sample]) -> list[tuple[float, int]]:
        """Of each moment at which the database answered, the lines due and not saved."""
        return [(s.at, max(0, self.due(s.at) - s.judged)) for s in samples if s.judged is not None]

    def caught_up(self, samples: Sequence[Sample], recovered: float) -> float | None:
        """The moment from which on the output was even with the load; None for never.

        Args:
            samples: the output over time.
            recovered: when the first new output was there.
        """
        after = [(s.at, s.judged) for s in samples if s.at >= recovered and s.judged is not None]
        even = [judged >= self.due(at - _BEHIND_SECONDS) for at, judged in after]
        last_behind = max((n for n, is_even in enumerate(even) if not is_even), default=-1)
        rest = after[last_behind + 1 :]
        return rest[0][0] if rest else None

    def latencies(self, saved: Iterable[tuple[datetime, datetime]]) -> list[tuple[float, float]]:
        """When each anomaly was saved first, and how long after its crossing event was due.

        Args:
            saved: of each anomaly the time of its crossing event, and when it was saved first.
        """
        began = self.clock.at or 0.0
        found = []
        for crossed_at, saved_at in saved:
            crossed_us = crossed_at.timestamp() * 1e6
            due = began + (crossed_us - self.clock.event_us) / 1e6 / self.clock.speed
            at = saved_at.timestamp()
            found.append((at - self.watched_from, at - due))
        return sorted(found)
