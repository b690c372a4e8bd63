"""The order in which events arrive: out of order, late and repeated by chosen shares.

Lateness is judged as the detector does: an event is late when it is older than the greatest
instant before it minus the allowed lateness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.columns import Bools, C, Ints

LATENESS_MS = 10_000
_LATE_BY_MS = 110_000
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Disturbance:
    """Shares of events: displaced within the allowed lateness, late beyond it, repeated."""

    disorder: float = 0.0
    late: float = 0.0
    duplicates: float = 0.0

    @property
    def any(self) -> bool:
        """Whether events arrive otherwise than session by session."""
        return self.disorder > 0 or self.late > 0 or self.duplicates > 0


@dataclass(frozen=True)
class ArrivalCounts:
    """How many events were made to arrive out of order (in time), late, and again."""

    displaced: int = 0
    late: int = 0
    repeated: int = 0

    def __add__(self, other: ArrivalCounts) -> ArrivalCounts:
        """Both counts together."""
        return ArrivalCounts(
            self.displaced + other.displaced,
            self.late + other.late,
            self.repeated + other.repeated,
        )


class ArrivalQueue(Generic[C]):
    """Holds events back until no earlier arrival can come, day after day."""

    def __init__(self, disturbance: Disturbance) -> None:
        self._disturbance = disturbance
        self._waiting: list[C] = []
        self._placed: list[tuple[C, Ints]] = []
        self.counts = ArrivalCounts()

    def add(self, rows: C) -> None:
        """Events of a day, in any order."""
        self._waiting.append(rows)

    def release(self, until_ms: int, generator: np.random.Generator) -> C | None:
        """The events that arrive before the instant, given that all older ones have been added."""
        self._place(until_ms, generator)
        if not self._placed:
            return None
        kind = type(self._placed[0][0])
        rows = kind.join([part for part, _ in self._placed])
        arrival = np.concatenate([keys for _, keys in self._placed])
        order = np.argsort(arrival, kind="stable")
        out = int(np.searchsorted(arrival[order], until_ms, "left"))
        rest = order[out:]
        self._placed = [(rows.take(rest), arrival[rest])] if len(rest) else []
        return rows.take(order[:out]) if out else None

    def finish(self, generator: np.random.Generator) -> C | None:
        """All events still held."""
        return self.release(_NEVER, generator)

    def _place(self, until_ms: int, generator: np.random.Generator) -> None:
        """Fix the arrival of all waiting events that happened before the instant."""
        if not self._waiting:
            return
        rows = type(self._waiting[0]).join(self._waiting)
        due = rows.at_ms < until_ms
        later = rows.take(~due)
        self._waiting = [later] if len(later) else []
        rows = rows.take(due)
        if not len(rows):
            return
        rows = rows.take(np.argsort(rows.at_ms, kind="stable"))
        keys, repeated, again, counts = _arrivals(rows.at_ms, self._disturbance, generator)
        self.counts += counts
        self._placed.append((rows, keys))
        self._placed.append((rows.take(repeated), again))


def _arrivals(
    at_ms: Ints, disturbance: Disturbance, generator: np.random.Generator
) -> tuple[Ints, npt.NDArray[np.intp], Ints, ArrivalCounts]:
    """The arrival of each event (rising instants), the rows that come again, and when.

    A displaced event overtakes nothing by 10 s, so it is never late. A late one comes after an
    event that is more than 10 s younger and that itself arrived at its own instant.
    """
    chance = generator.random(len(at_ms))
    late = chance < disturbance.late
    soon = np.diff(at_ms, append=_NEVER) < LATENESS_MS - 1
    share = disturbance.disorder / max(float(soon.mean()), 1e-9)
    moved = soon & ~late & (chance >= disturbance.late)
    moved &= chance < disturbance.late + share * (1 - disturbance.late)
    steady = np.append(at_ms[~late & ~moved], _NEVER)
    keys = at_ms.copy()
    moved = _displace(keys, np.flatnonzero(moved), steady, generator)
    late = _delay(keys, np.flatnonzero(late), steady, generator)
    repeats = generator.random(len(at_ms)) < disturbance.duplicates
    repeats &= keys - at_ms < LATENESS_MS - 1
    rows = np.flatnonzero(repeats)
    room = LATENESS_MS - 1 - (keys[rows] - at_ms[rows])
    again = keys[rows] + 1 + (generator.random(len(rows)) * room).astype(np.int64)
    counts = ArrivalCounts(int(moved.sum()), int(late.sum()), len(rows))
    return keys, rows, again, counts


def _displace(
    keys: Ints, rows: npt.NDArray[np.intp], steady: Ints, generator: np.random.Generator
) -> Bools:
    """Put events behind the next steady one, less than 10 s late; says which could be."""
    following = steady[np.searchsorted(steady, keys[rows], "right")]
    possible = following - keys[rows] < LATENESS_MS - 1
    rows, following = rows[possible], following[possible]
    room = LATENESS_MS - 1 - (following - keys[rows])
    keys[rows] = following + 1 + (generator.random(len(rows)) * (room - 1)).astype(np.int64)
    return possible


def _delay(
    keys: Ints, rows: npt.NDArray[np.intp], steady: Ints, generator: np.random.Generator
) -> Bools:
    """Put events behind a steady one more than 10 s younger; says which could be."""
    younger = steady[np.searchsorted(steady, keys[rows] + LATENESS_MS, "right")]
    possible = younger < _NEVER
    rows, younger = rows[possible], younger[possible]
    late_by = LATENESS_MS + 1 + (generator.random(len(rows)) * _LATE_BY_MS).astype(np.int64)
    keys[rows] = np.maximum(keys[rows] + late_by, younger + 1)
    return possible
