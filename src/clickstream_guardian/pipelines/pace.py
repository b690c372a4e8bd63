"""How fast a replay runs: as fast as it can, or a number of times faster than the events' time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from clickstream_guardian.errors import UsageError
from clickstream_guardian.sources.replay import Batch, Part

_TICK_SECONDS = 0.1
_LIVE_COMMIT_SECONDS = 10.0
_MAX_WAIT_SECONDS = 1.0


@dataclass
class Pace:
    """The speed, and the clock it is kept by (the clock is the rim's; tests bring their own).

    Attributes:
        speed: event seconds per wall second; None for no waiting at all.
        commit_files: hour files that may wait for the lake's next commit.
    """

    speed: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    commit_files: int = 400
    _committed_at: float = field(default=0.0, init=False)

    @staticmethod
    def parse(text: str) -> Pace:
        """``max`` or a positive number.

        Raises:
            UsageError: neither.
        """
        if text == "max":
            return Pace()
        try:
            speed = float(text)
        except ValueError:
            speed = 0.0
        if not 0 < speed < 1e9:
            raise UsageError(
                f"Replay speed {text!r} is neither `max` nor a positive number such as 100."
            )
        return Pace(speed)

    def commit_is_due(self) -> bool:
        """Whether the lake should be committed now for the sake of its readers."""
        if self.speed is None or self.clock() - self._committed_at < _LIVE_COMMIT_SECONDS:
            return False
        self._committed_at = self.clock()
        return True

    def paced(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same events, handed over no sooner than their time has come.

        A batch is cut into ticks of 0.1 s. The first event starts the clock, so silence before it
        costs nothing.
        """
        if self.speed is None:
            yield from batches
            return
        start_us: int | None = None
        started = self.clock()
        tick_us = int(_TICK_SECONDS * self.speed * 1e6)
        for batch in batches:
            for until_us, piece in _pieces(batch, tick_us):
                if until_us is not None:
                    start_us = until_us if start_us is None else start_us
                    self._wait_until(started + (until_us - start_us) / 1e6 / self.speed)
                yield piece

    def _wait_until(self, due: float) -> None:
        while (left := due - self.clock()) > 0:
            self.sleep(min(left, _MAX_WAIT_SECONDS))


def _pieces(batch: Batch, tick_us: int) -> Iterator[tuple[int | None, Batch]]:
    """Cut a batch so that each piece holds at most a tick's worth of event time."""
    times = [_times(part) for part in batch.parts]
    if not any(len(t) for t in times):
        yield None, batch
        return
    ticks = sorted({int(k) for t in times for k in np.unique(t // tick_us)})
    edges = [*((k + 1) * tick_us for k in ticks[:-1]), None]
    taken = [0] * len(times)
    for end in edges:
        parts = []
        for n, (part, at) in enumerate(zip(batch.parts, times, strict=True)):
            last = len(at) if end is None else int(np.searchsorted(at, end))
            last = max(last, taken[n])
            parts.append(_slice(part, taken[n], last, whole=end is None))
            taken[n] = last
        promised = batch.promised_us if end is None or batch.promised_us is None else end
        until = ticks[-1] * tick_us if end is None else end - tick_us
        yield until, Batch(tuple(parts), promised)


def _times(part: Part) -> np.ndarray:
    """Greatest event time so far at each event: in file order an older one comes with it."""
    if not len(part.events):
        return np.zeros(0, dtype=np.int64)
    return np.maximum.accumulate(part.events["occurred_at"].to_physical().to_numpy())


def _slice(part: Part, first: int, last: int, *, whole: bool) -> Part:
    events: pl.DataFrame = (
        part.events.slice(first, last - first) if len(part.events) else part.events
    )
    if whole:
        return Part(part.file, events, part.next_offset, part.ended)
    following = part.events["offset"].slice(last, 1)
    next_offset = int(following[0]) if len(following) else part.next_offset
    return Part(part.file, events, next_offset, ended=False)
