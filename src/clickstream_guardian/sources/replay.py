"""Files replayed as batches with positions, in the order of event time or of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.sources.spool import Order, Spool

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


def _by_time(files: Sequence[FileSource], start: Mapping[str, int]) -> Iterator[Batch]:
    taken = {file.source: file.events_from for file in files}
    for day in sorted({name for file in files for name, _ in file.spool.index.parts}):
        counts = [dict(file.spool.index.parts).get(day, 0) for file in files]
        begins = [taken[file.source] for file in files]
        for file, count in zip(files, counts, strict=True):
            taken[file.source] += count
        if all(taken[file.source] <= start.get(file.source, 0) for file in files):
            continue
        yield from _one_day(files, day, counts, begins)
    yield Batch(tuple(Part(file, pl.DataFrame(), file.end, ended=True) for file in files))


def _one_day(
    files: Sequence[FileSource], day: str, counts: Sequence[int], begins: Sequence[int]
) -> Iterator[Batch]:
    frames = [
        _ordered_day(file, day, begin) if count else None
        for file, count, begin in zip(files, counts, begins, strict=True)
    ]
    largest = max((frame for frame in frames if frame is not None), key=len)
    times = largest["occurred_at"].to_physical()
    cuts = [int(times[i]) for i in range(SLICE_ROWS, len(times), SLICE_ROWS)]
    edges = [None, *sorted(set(cuts)), None]
    for low, high in pairwise(edges):
        parts = []
        for file, frame, begin in zip(files, frames, begins, strict=True):
            if frame is not None:
                events = _between(frame, low, high)
                done = begin + _below(frame, high)
                parts.append(Part(file, events, done, ended=False))
        promised = high if high is not None else _day_end(times)
        yield Batch(tuple(parts), promised)


def _ordered_day(file: FileSource, day: str, begin: int) -> pl.DataFrame:
    events = file.spool.part(day).sort("occurred_at", maintain_order=True)
    offsets = pl.int_range(begin, begin + len(events), dtype=pl.Int64, eager=True)
    return events.with_columns(offsets.alias("offset"))


def _below(frame: pl.DataFrame, high: int | None) -> int:
    if high is None:
        return len(frame)
    return int(np.searchsorted(frame["occurred_at"].to_physical().to_numpy(), high))


def _between(frame: pl.DataFrame, low: int | None, high: int | None) -> pl.DataFrame:
    first = 0 if low is None else _below(frame, low)
    return frame.slice(first, _below(frame, high) - first)


def _day_end(times: pl.Series) -> int:
    day_us = 86_400_000_000
    return (int(times[-1]) // day_us + 1) * day_us
