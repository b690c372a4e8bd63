"""How fast a replay runs: as fast as it can, or a number of times faster than the events' time.

A paced replay stands for a live source, and a live source does not wait for whoever has died. So
its clock is kept in a file: whoever goes on gets at once what has come due meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from clickstream_guardian.errors import UsageError
from clickstream_guardian.sources.replay import Batch, Part
from clickstream_guardian.sources.stream_clock import StreamClock

_TICK_SECONDS = 0.1
_LIVE_COMMIT_SECONDS = 10.0
_MAX_WAIT_SECONDS = 1.0
_PIECE_ROWS = 20_000
"""Events of a file in a piece, about, for whoever is behind: the first of them are judged soon."""


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
    wall: Callable[[], float] = time.time
    commit_files: int = 400
    _committed_at: float | None = field(default=None, init=False)
    _began: tuple[float, int] | None = field(default=None, init=False)

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
        if self.speed is None:
            return False
        if self._committed_at is None:
            self._committed_at = self.clock()
        if self.clock() - self._committed_at < _LIVE_COMMIT_SECONDS:
            return False
        self._committed_at = self.clock()
        return True

    def paced(self, batches: Iterator[Batch], kept: Path | None = None) -> Iterator[Batch]:
        """The same events, handed over when their time has come, in ticks of 0.1 s.

        The clock starts when the first event is at hand, so neither silence before it nor its
        reading costs anything. Whoever falls behind gets what is due in large pieces.

        Args:
            batches: the events.
            kept: the file of the stream's clock; one that is there already goes on.
        """
        if self.speed is None:
            yield from batches
            return
        tick_us = max(1, int(_TICK_SECONDS * self.speed * 1e6))
        started, start_us = 0.0, None
        for batch in batches:
            times = [_times(part) for part in batch.parts]
            filled = [t for t in times if len(t)]
            if not filled:
                yield batch
                continue
            first, last = min(int(t[0]) for t in filled), max(int(t[-1]) for t in filled)
            if start_us is None:
                started, start_us = self.clock(), self._start_us(first, kept)
                self._began = started, start_us
            taken = [0] * len(times)
            while True:
                nearest = min(int(t[n]) for t, n in zip(times, taken, strict=True) if n < len(t))
                due_us = (nearest // tick_us + 1) * tick_us
                self._wait_until(started + (due_us - start_us) / 1e6 / self.speed)
                passed_us = start_us + int((self.clock() - started) * self.speed * 1e6)
                edge = max(due_us, min(passed_us // tick_us * tick_us, _far(times, taken)))
                piece, taken = _piece(batch, times, taken, edge)
                yield piece
                if edge > last:
                    break

    def behind_seconds(self, promised_us: int | None) -> float:
        """For how long the events before a promise have been due; 0 without a speed."""
        if self.speed is None or self._began is None or promised_us is None:
            return 0.0
        started, start_us = self._began
        return max(0.0, self.clock() - started - (promised_us - start_us) / 1e6 / self.speed)

    def pause(self, kept: Path) -> None:
        """Stop the stream's clock where it stands, as its user has asked for."""
        clock = StreamClock.read(kept)
        if clock is not None:
            StreamClock(clock.due_us(self.wall()), None, clock.speed).write(kept)

    def _start_us(self, first_us: int, kept: Path | None) -> int:
        """The event time that is due now: the first event's, or what the kept clock says."""
        if kept is None or self.speed is None:
            return first_us
        before, now = StreamClock.read(kept), self.wall()
        start_us = first_us if before is None else before.due_us(now)
        StreamClock(start_us, now, self.speed).write(kept)
        return start_us

    def _wait_until(self, due: float) -> None:
        while (left := due - self.clock()) > 0:
            self.sleep(min(left, _MAX_WAIT_SECONDS))


def _far(times: list[np.ndarray], taken: list[int]) -> int:
    """The event time up to which a piece of the greatest size goes."""
    ends = [
        int(t[n + _PIECE_ROWS])
        for t, n in zip(times, taken, strict=True)
        if n + _PIECE_ROWS < len(t)
    ]
    return min(ends, default=np.iinfo(np.int64).max)


def _piece(
    batch: Batch, times: list[np.ndarray], taken: list[int], edge: int
) -> tuple[Batch, list[int]]:
    """What lies before ``edge`` and has not been taken, and how much has been taken then."""
    reached = [max(n, int(np.searchsorted(t, edge))) for t, n in zip(times, taken, strict=True)]
    whole = all(n == len(t) for t, n in zip(times, reached, strict=True))
    parts = tuple(
        _slice(part, first, last, whole=whole)
        for part, first, last in zip(batch.parts, taken, reached, strict=True)
    )
    promised = batch.promised_us if whole or batch.promised_us is None else edge
    return Batch(parts, promised), reached


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
