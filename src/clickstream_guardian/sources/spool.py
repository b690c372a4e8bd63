"""The first pass over a file: its lines decoded once, kept in the order they will be replayed in.

A click file of the YOOCHOOSE kind holds sessions one after another, in no order of time, so a
replay in event-time order has to see the whole file first. The spool is that sight: events by UTC
day, those of large days by hour or minute (order ``time``), or in chunks as they stand in the file
(order ``file``), as Arrow streams that are read back without decoding. It is derived data: whatever
a crash leaves of it is made anew.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from clickstream_guardian.errors import TooMuchRejectedError, UsageError
from clickstream_guardian.events.decode import (
    Decoded,
    Layout,
    decode_lines,
    detect_layout,
    missing_columns,
)
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.events.identity import event_ids
from clickstream_guardian.events.rejections import Rejection
from clickstream_guardian.sources.lines import LineChunk, Progress, first_line, iter_chunks

_WORKERS = 2
_READ_AHEAD = 2
_HOUR_US = 3_600_000_000
_PART_ROWS = 4_000_000
"""Events of a part, at most, where a finer stretch exists: a part is sorted in memory."""
REJECTED = "rejected"


class _Grain(NamedTuple):
    """Of what stretches of time the parts in order ``time`` are, and how those are named."""

    every: str
    microseconds: int
    form: str
    letters: int


_DAY = _Grain("1d", 24 * _HOUR_US, "%Y-%m-%d", 10)
_FINER = (
    _Grain("1h", _HOUR_US, "%Y-%m-%dT%H", 13),
    _Grain("1m", 60_000_000, "%Y-%m-%dT%H%M", 15),
)


class Order(StrEnum):
    """In what order a file is replayed."""

    TIME = "time"
    FILE = "file"


@dataclass(frozen=True)
class SpoolIndex:
    """What a spool holds.

    Attributes:
        parts: name and number of events of each part, in replay order.
        rejected: rejected lines; in order ``time`` they take the first offsets.
        rows: non-blank lines, which is events plus rejections.
        reasons: rejected lines by reason code.
        hours: events by UTC hour (``2014-04-07 10``).
        sizes: bytes of each file; a power failure may leave less.
    """

    order: Order
    parts: tuple[tuple[str, int], ...]
    rejected: int
    rows: int
    reasons: dict[str, int]
    hours: dict[str, int]
    sizes: dict[str, int]


class Spool:
    """A finished spool in a folder."""

    def __init__(self, folder: Path, kind: EventKind) -> None:
        self.folder = folder
        self.kind = kind
        raw = json.loads((folder / "index.json").read_text())
        self.index = SpoolIndex(
            Order(raw["order"]),
            tuple((name, count) for name, count in raw["parts"]),
            raw["rejected"],
            raw["rows"],
            raw["reasons"],
            raw["hours"],
            raw["sizes"],
        )

    @property
    def days(self) -> tuple[date, ...]:
        """The days of the events, in order ``time``."""
        return tuple(
            sorted({date.fromisoformat(name[: _DAY.letters]) for name, _ in self.index.parts})
        )

    def day(self, day: date) -> pl.DataFrame:
        """The events of a day, in order ``time``: each of its parts in file order."""
        names = [name for name, _ in self.index.parts if name.startswith(str(day))]
        return pl.concat([self.part(name) for name in names])

    def part(self, name: str) -> pl.DataFrame:
        """The events of a part, in file order, with their ``event_id``."""
        frame = _read_streams(self.folder / f"{name}.arrow")
        if self.index.order is Order.FILE:
            return frame.with_columns(_file_ids(frame, self._repeats(), self.kind))
        return frame.with_columns(_ids(frame, self.kind))

    def rejections(self) -> pl.DataFrame:
        """The rejected lines, in file order."""
        path = self.folder / f"{REJECTED}.arrow"
        return _read_streams(path) if path.exists() else pl.DataFrame(schema=_REJECTION_SCHEMA)

    def _repeats(self) -> pl.DataFrame:
        return pl.read_ipc(self.folder / "repeats.arrow")

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


_REJECTION_SCHEMA: dict[str, pl.DataType] = {
    "row": pl.Int64(),
    "line_number": pl.Int64(),
    "reason": pl.String(),
    "detail": pl.String(),
    "raw": pl.String(),
    "raw_bytes": pl.Int64(),
}


def build_spool(
    folder: Path,
    path: Path,
    kind: EventKind,
    order: Order,
    received_at: datetime,
    *,
    max_rows: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> Spool:
    """Read a file once and leave its spool in ``folder``; one that is there already is used.

    Args:
        received_at: when the source was first read; bounds ``time_out_of_range``.
        max_rows: take only the first so many non-blank lines.
        strict: stop at the first rejection.

    Raises:
        UsageError: the header lacks a column.
        TooMuchRejectedError: ``strict`` met a rejection.
    """
    if (whole := _whole_spool(folder, kind)) is not None:
        return whole
    building = folder.with_name(folder.name + ".building")
    for leftover in (folder, building):
        shutil.rmtree(leftover, ignore_errors=True)
    building.mkdir(parents=True)
    layout = file_layout(path, kind)
    writer = _Writer(building, kind, order)
    for decoded in _decoded(path, layout, received_at, max_rows, progress):
        if strict and decoded.rejections:
            first = decoded.rejections[0]
            raise TooMuchRejectedError(
                f"{path}:{first.line_number}: {first.detail}; mend it or drop --strict."
            )
        writer.add(decoded)
    writer.finish()
    building.rename(folder)
    return Spool(folder, kind)


def _whole_spool(folder: Path, kind: EventKind) -> Spool | None:
    """The spool in a folder, if all of it is there."""
    try:
        spool = Spool(folder, kind)
        found = {name: (folder / name).stat().st_size for name in spool.index.sizes}
    except (OSError, ValueError, KeyError):
        return None
    return spool if found == spool.index.sizes else None


def file_layout(path: Path, kind: EventKind) -> Layout:
    """Which column of the file's lines is which field.

    Raises:
        UsageError: the header lacks a column.
    """
    layout = detect_layout(kind, first_line(path))
    if missing := missing_columns(layout):
        raise UsageError(
            f"{path}:1: the header lacks {', '.join(missing)}; add the column or remove the header."
        )
    return layout


def _decoded(
    path: Path,
    layout: Layout,
    received_at: datetime,
    max_rows: int | None,
    progress: Progress | None,
) -> Iterator[Decoded]:
    """The file's chunks decoded by two threads, in file order, rows and lines counted through."""
    rows, lines = 0, 0
    with ThreadPoolExecutor(_WORKERS) as pool:
        for part in _in_order(pool, path, layout, received_at, progress):
            decoded = _shift(part, rows, lines)
            rows, lines = rows + part.rows, lines + part.lines
            if max_rows is not None and rows >= max_rows:
                yield _cut_rows(decoded, max_rows)
                return
            yield decoded


def _in_order(
    pool: ThreadPoolExecutor,
    path: Path,
    layout: Layout,
    received_at: datetime,
    progress: Progress | None,
) -> Iterator[Decoded]:
    waiting: deque[Future[Decoded]] = deque()
    header = layout.header
    for chunk in iter_chunks(path, progress):
        data = chunk.data
        if data.startswith(b"\xef\xbb\xbf"):
            data = data.removeprefix(b"\xef\xbb\xbf")
        if header and data:
            data, skipped = _without_header(data)
            yield Decoded(pl.DataFrame(), (), 0, skipped)
            header = False
        waiting.append(pool.submit(_decode, layout, replace(chunk, data=data), received_at))
        while len(waiting) > _READ_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _without_header(data: bytes) -> tuple[bytes, int]:
    skipped = 0
    while data:
        head, _, data = data.partition(b"\n")
        skipped += 1
        if head.strip():
            break
    return data, skipped


def _decode(layout: Layout, chunk: LineChunk, received_at: datetime) -> Decoded:
    if chunk.overlong is not None:
        return Decoded(pl.DataFrame(), (chunk.overlong,), 1, 1)
    return decode_lines(layout, chunk.data, received_at)


def _shift(part: Decoded, rows: int, lines: int) -> Decoded:
    rejections = tuple(
        replace(r, row=r.row + rows, line_number=r.line_number + lines) for r in part.rejections
    )
    if len(part.events):
        events = part.events.with_columns(pl.col("row") + rows).drop("line_number")
    else:
        events = part.events
    return Decoded(events, rejections, part.rows, part.lines)


def _cut_rows(decoded: Decoded, max_rows: int) -> Decoded:
    events = decoded.events
    kept = events.filter(pl.col("row") < max_rows) if len(events) else events
    rejections = tuple(r for r in decoded.rejections if r.row < max_rows)
    return Decoded(kept, rejections, decoded.rows, decoded.lines)


class _Writer:
    """Writes decoded chunks into a folder and at the end its index."""

    def __init__(self, folder: Path, kind: EventKind, order: Order) -> None:
        self.folder, self.kind, self.order = folder, kind, order
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.hours: Counter[int] = Counter()
        self.hashes: list[pl.Series] = []

    def add(self, decoded: Decoded) -> None:
        if decoded.rejections:
            self.reasons.update(str(r.reason) for r in decoded.rejections)
            _append(self.folder / f"{REJECTED}.arrow", _rejection_frame(decoded.rejections))
        if not len(decoded.events):
            return
        hours = decoded.events["occurred_at"].to_physical() // _HOUR_US
        self.hours.update(dict(hours.value_counts().iter_rows()))
        if self.order is Order.TIME:
            self._add_parts(decoded.events.drop("row"), _DAY)
        else:
            self._add_chunk(decoded.events)

    def _add_parts(self, events: pl.DataFrame, grain: _Grain) -> None:
        by_part = events.with_columns(part=pl.col("occurred_at").dt.truncate(grain.every))
        for (begin,), part in by_part.partition_by("part", as_dict=True, include_key=False).items():
            name = f"{begin:{grain.form}}"
            _append(self.folder / f"{name}.arrow", part)
            self.counts[name] += len(part)

    def _cut(self, name: str, grain: _Grain) -> None:
        """Lay the events of a part into finer ones."""
        whole = self.folder / f"{name}.arrow"
        for events in _streams(whole):
            self._add_parts(events, grain)
        whole.unlink()
        del self.counts[name]

    def _add_chunk(self, events: pl.DataFrame) -> None:
        name = f"chunk-{len(self.counts):06d}"
        _append(self.folder / f"{name}.arrow", events)
        self.counts[name] = len(events)
        if "given_id" not in events.columns:
            first = event_ids(self.kind, events.with_columns(ordinal=pl.lit(0)))
            self.hashes.append(first.cast(pl.UInt64, wrap_numerical=True))

    def finish(self) -> None:
        if self.order is Order.FILE:
            self._write_repeats()
        else:
            for grain in _FINER:
                for name in [name for name, n in self.counts.items() if n > _PART_ROWS]:
                    self._cut(name, grain)
        rejected = self.reasons.total()
        index = SpoolIndex(
            self.order,
            tuple(sorted(self.counts.items())),
            rejected,
            rejected + self.counts.total(),
            dict(sorted(self.reasons.items())),
            {_hour(number): count for number, count in sorted(self.hours.items())},
            {path.name: path.stat().st_size for path in self.folder.iterdir()},
        )
        (self.folder / "index.json").write_text(json.dumps(asdict(index)))

    def _write_repeats(self) -> None:
        """Note the ordinal of each row that repeats an earlier one of the file."""
        seen = pl.concat(self.hashes) if self.hashes else pl.Series(dtype=pl.UInt64)
        repeated = seen.filter(seen.is_duplicated()).unique()
        found = [pl.DataFrame(schema={"row": pl.Int64, "event_id": pl.UInt128})]
        for name in sorted(self.counts) if len(repeated) else ():
            frame = _read_streams(self.folder / f"{name}.arrow")
            first = event_ids(self.kind, frame.with_columns(ordinal=pl.lit(0)))
            low = first.cast(pl.UInt64, wrap_numerical=True)
            found.append(
                frame.select("row").with_columns(first).filter(low.is_in(repeated.implode()))
            )
        rows = pl.concat(found).select(
            "row", ordinal=pl.int_range(pl.len(), dtype=pl.Int64).over("event_id", order_by="row")
        )
        rows.filter(pl.col("ordinal") > 0).write_ipc(self.folder / "repeats.arrow")


def part_span(name: str) -> tuple[int, int]:
    """From when to when a part reaches in order ``time``, in microseconds."""
    grain = next(one for one in (_DAY, *_FINER) if one.letters == len(name))
    begin = datetime.strptime(name, grain.form).replace(tzinfo=UTC)
    begin_us = int(begin.timestamp()) * 1_000_000
    return begin_us, begin_us + grain.microseconds


def _hour(number: int) -> str:
    return f"{datetime.fromtimestamp(number * 3600, UTC):%Y-%m-%d %H}"


def _rejection_frame(rejections: tuple[Rejection, ...]) -> pl.DataFrame:
    rows = [(r.row, r.line_number, str(r.reason), r.detail, r.raw, r.raw_bytes) for r in rejections]
    return pl.DataFrame(rows, schema=_REJECTION_SCHEMA, orient="row")


def _ids(events: pl.DataFrame, kind: EventKind) -> pl.Series:
    """Ids of one day in file order: equal rows have equal times, so a day holds all of them."""
    if "given_id" in events.columns:
        return event_ids(kind, events)
    first = event_ids(kind, events.with_columns(ordinal=pl.lit(0)))
    equal = first.is_duplicated().arg_true()
    if not len(equal):
        return first
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    ordinal = first[equal].to_frame().select(ordinal=place.over("event_id"))
    return first.scatter(equal, event_ids(kind, events[equal].hstack(ordinal)))


def _file_ids(events: pl.DataFrame, repeats: pl.DataFrame, kind: EventKind) -> pl.Series:
    if "given_id" in events.columns:
        return event_ids(kind, events)
    ordinals = events.join(repeats, on="row", how="left", maintain_order="left")
    return event_ids(kind, ordinals.with_columns(pl.col("ordinal").fill_null(0)))


def _append(path: Path, frame: pl.DataFrame) -> None:
    table = frame.to_arrow()
    with path.open("ab") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


def _read_streams(path: Path) -> pl.DataFrame:
    """All streams that were appended to a file, as one frame."""
    return pl.concat(list(_streams(path)))


def _streams(path: Path) -> Iterator[pl.DataFrame]:
    with pa.memory_map(str(path)) as source:
        size = source.size()
        while source.tell() < size:
            with pa.ipc.open_stream(source) as stream:
                yield pl.DataFrame(pl.from_arrow(stream.read_all()))
