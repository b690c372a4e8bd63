"""Event-time pacing: events leave in the rhythm of their own time, times a speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from clickstream_guardian.errors import UsageError

TICK_SECONDS = 0.05


def parse_speed(text: str) -> float:
    """The speed of a replay: ``max`` is infinite, ``100`` is a hundred times real time.

    Raises:
        UsageError: it is neither.
    """
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < math.inf:
        raise UsageError(f"Replay speed {text!r} is not usable; give `max` or a number above 0.")
    return speed


class Pacer:
    """Lets events pass when their time has come.

    Args:
        speed: seconds of event time per second; infinite means at once.
        origin_us: event time of the moment of starting, in microseconds, so that several files keep
            step; default: the first event's.
        clock: seconds, monotonic.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        speed: float,
        origin_us: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._origin = None if origin_us is None else (origin_us, clock())

    def paced(self, events: pa.Table) -> Iterator[pa.Table]:
        """Cut events (in time order) into ticks and yield each when it is due."""
        if math.isinf(self._speed) or not len(events):
            yield events
            return
        micros = events["occurred_at"].cast(pa.int64()).to_numpy()
        if self._origin is None:
            self._origin = (int(micros[0]), self._clock())
        first, started = self._origin
        ticks = ((micros - first) / (1e6 * self._speed * TICK_SECONDS)).astype(np.int64)
        starts = np.flatnonzero(np.diff(ticks, prepend=ticks[0] - 1))
        for start, end in zip(starts, [*starts[1:], len(events)], strict=True):
            due = started + (int(ticks[start]) + 1) * TICK_SECONDS
            wait = due - self._clock()
            if wait > 0:
                self._sleep(wait)
            yield events.slice(int(start), int(end - start))
