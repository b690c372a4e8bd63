"""Files replayed as batches with positions, in the order of event time or of the file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import polars as pl

from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.sources.spool import Order, Spool, part_span

SLICE_ROWS = 400_000
"""Events of one kind in a batch, about: what bounds memory and the work lost in a crash."""


@dataclass(frozen=True)
class FileSource:
    """A file being replayed.

    Attributes:
        source: its name, from the hash of its bytes.
        received_at: when it was first read; the same in every resumed run.
    """

    source: str
    path: Path
    kind: EventKind
    received_at: datetime
    spool: Spool

    @property
    def events_from(self) -> int:
        """Offset of the first event: in time order the rejections come before all events."""
        index = self.spool.index
        return index.rejected if index.order is Order.TIME else 0

    @property
    def end(self) -> int:
        """Offset behind the last line."""
        return self.spool.index.rows


@dataclass(frozen=True)
class Part:
    """The next events of one file.

    Attributes:
        events: the fields that the file has, ``event_id`` (``UInt128``) and ``offset``.
        next_offset: where the file goes on behind them.
        ended: these are its last.
    """

    file: FileSource
    events: pl.DataFrame
    next_offset: int
    ended: bool


@dataclass(frozen=True)
class Batch:
    """Parts that lie in the same stretch of event time.

    ``promised_us``: no event before it is still to come, from any file; None in file order.
    """

    parts: tuple[Part, ...]
    promised_us: int | None = None

    @property
    def rows(self) -> int:
        """Events in all parts."""
        return sum(len(part.events) for part in self.parts)


def batches(files: Sequence[FileSource], start: Mapping[str, int]) -> Iterator[Batch]:
    """The events of the files, from the given offsets (by source; a missing one is 0).

    Nothing comes before its offset, so that a paced replay that goes on need not wait for what it
    has; where consumers stand further, each drops what it has.
    """
    for batch in _whole(files, start):
        parts = (_from(part, start.get(part.file.source, 0)) for part in batch.parts)
        yield Batch(tuple(parts), batch.promised_us)


def _whole(files: Sequence[FileSource], start: Mapping[str, int]) -> Iterator[Batch]:
    """Batches that reach beyond the offsets, and may begin before them."""
    if not files:
        return
    if files[0].spool.index.order is Order.TIME:
        yield from _by_time(files, start)
        return
    for file in files:
        yield from _by_file(file, start.get(file.source, 0))


def _from(part: Part, offset: int) -> Part:
    if not len(part.events) or int(part.events["offset"][0]) >= offset:
        return part
    return replace(part, events=part.events.filter(pl.col("offset") >= offset))


def rejected(file: FileSource, start: int) -> Iterator[pl.DataFrame]:
    """The rejected lines of a file from an offset on, with their ``offset``, in slices."""
    frame = file.spool.rejections()
    is_time = file.spool.index.order is Order.TIME
    offsets = np.arange(len(frame)) if is_time else frame["row"].to_numpy()
    frame = frame.drop("row").with_columns(offset=pl.Series(offsets, dtype=pl.Int64))
    yield from frame.filter(pl.col("offset") >= start).iter_slices(SLICE_ROWS)


def _by_file(file: FileSource, start: int) -> Iterator[Batch]:
    counts = file.spool.index.parts
    for number, (name, _) in enumerate(counts):
        events = file.spool.part(name).rename({"row": "offset"})
        last = number == len(counts) - 1
        next_offset = file.end if last else int(events["offset"][-1]) + 1
        if next_offset > start:
            yield Batch((Part(file, events, next_offset, last),))
    if not counts:
        yield Batch((Part(file, pl.DataFrame(), file.end, ended=True),))


@dataclass(frozen=True)
class _Stored:
    """A part of a spool: its name, and the stretches of time and of offsets that it is."""

    name: str
    low_us: int
    high_us: int
    begin: int
    end: int


class _InTime:
    """A file's events in the order of time; the part that is being read is held in memory."""

    def __init__(self, file: FileSource) -> None:
        self.file = file
        self._frame: pl.DataFrame | None = None
        ends = [*accumulate((n for _, n in file.spool.index.parts), initial=file.events_from)]
        self.parts = deque(
            _Stored(name, *part_span(name), *offsets)
            for (name, _), offsets in zip(file.spool.index.parts, pairwise(ends), strict=True)
        )

    def skip_to(self, low_us: int) -> None:
        """Let go of what ends before."""
        while self.parts and self.parts[0].high_us <= low_us:
            self.parts.popleft()
            self._frame = None

    def part_of(self, low_us: int) -> _Stored | None:
        """The part that reaches over this time."""
        return self.parts[0] if self.parts and self.parts[0].low_us <= low_us else None

    def next_part(self, low_us: int, high_us: int) -> Part | None:
        """The events from one time to another, both within a part; None where there is none."""
        stored = self.part_of(low_us)
        if stored is None:
            return None
        frame = self._sorted(stored)
        done = stored.begin + _below(frame, high_us)
        return Part(self.file, _between(frame, low_us, high_us), done, ended=False)

    def _sorted(self, stored: _Stored) -> pl.DataFrame:
        if self._frame is None:
            events = self.file.spool.part(stored.name).sort("occurred_at", maintain_order=True)
            offsets = pl.int_range(stored.begin, stored.end, dtype=pl.Int64, eager=True)
            self._frame = events.with_columns(offsets.alias("offset"))
        return self._frame


def _by_time(files: Sequence[FileSource], start: Mapping[str, int]) -> Iterator[Batch]:
    streams = [_InTime(file) for file in files]
    edges = {us for one in streams for part in one.parts for us in (part.low_us, part.high_us)}
    for low, high in pairwise(sorted(edges)):
        for stream in streams:
            stream.skip_to(low)
        held = [(one.file.source, one.part_of(low)) for one in streams]
        if any(part is not None and part.end > start.get(source, 0) for source, part in held):
            yield from _stretch(streams, low, high)
    yield Batch(tuple(Part(file, pl.DataFrame(), file.end, ended=True) for file in files))


def _stretch(streams: Sequence[_InTime], low: int, high: int) -> Iterator[Batch]:
    """Batches of a stretch of time within one part of each file."""
    found = [part for one in streams if (part := one.next_part(low, high)) is not None]
    times = max((part.events for part in found), key=len)["occurred_at"].to_physical()
    cuts = [int(times[i]) for i in range(SLICE_ROWS, len(times), SLICE_ROWS)]
    for first, last in pairwise(sorted({low, high, *cuts})):
        parts = (one.next_part(first, last) for one in streams)
        yield Batch(tuple(part for part in parts if part is not None), last)


def _below(frame: pl.DataFrame, high_us: int) -> int:
    return int(np.searchsorted(frame["occurred_at"].to_physical().to_numpy(), high_us))


def _between(frame: pl.DataFrame, low_us: int, high_us: int) -> pl.DataFrame:
    first = _below(frame, low_us)
    return frame.slice(first, _below(frame, high_us) - first)
