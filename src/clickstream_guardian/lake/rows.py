"""Incoming rows brought into the table's types and split into UTC hours. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.lake.layout import PARTITION_COLUMNS, RawTable
from clickstream_guardian.lake.model import HourFile, OffsetRange, SourcePartition

_HOUR_US = 3_600_000_000
_SMALL_DICTIONARY = 256


@dataclass(frozen=True)
class HourSlice:
    """The rows of one UTC hour of a batch: which rows, and whose offsets they carry."""

    dt: str
    hour: str
    start: int
    indices: npt.NDArray[np.int64] | None
    rows: int
    offsets: dict[SourcePartition, tuple[int, int, int]]

    def take(self, columns: dict[str, pa.ChunkedArray]) -> dict[str, pa.ChunkedArray]:
        """The columns' values of these rows; without copying when they lie together."""
        if self.indices is None:
            return {name: col.slice(self.start, self.rows) for name, col in columns.items()}
        picked = pa.array(self.indices)
        return {name: column.take(picked) for name, column in columns.items()}

    @property
    def file(self) -> HourFile:
        """The file of these rows; its name is theirs alone, so writing them again overwrites it."""
        first = min(found[0] for found in self.offsets.values())
        digest = blake2b(digest_size=8)
        for (source, partition), found in sorted(self.offsets.items()):
            digest.update(f"{source}\0{partition}\0{found}\n".encode())
        return HourFile(self.dt, self.hour, f"{first:012d}-{digest.hexdigest()}.parquet")

    @property
    def ranges(self) -> dict[SourcePartition, OffsetRange]:
        """Least and greatest offset of each source partition."""
        return {key: OffsetRange(found[0], found[1]) for key, found in self.offsets.items()}


def conform(rows: pa.Table, table: RawTable) -> dict[str, pa.ChunkedArray]:
    """The columns of a batch in the table's types, without ``dt`` and ``hour``.

    Optional columns may be left out. ``dt`` and ``hour`` are ignored if given: they follow from
    the row's instant, and are derived from it when the file is written.

    Raises:
        GuardianError: a column is missing, unknown, of a type that does not fit, or has no value
            where the row's place depends on it.
    """
    known = {field.name: field for field in table.fields}
    if unknown := set(rows.column_names) - set(known):
        raise GuardianError(
            f"Rows for {table.identifier} have the unknown column {min(unknown)!r}; "
            "add it to the field table of the event kind first."
        )
    missing = [f.name for f in table.fields if not f.optional and f.name not in rows.column_names]
    if missing := [name for name in missing if name not in PARTITION_COLUMNS]:
        raise GuardianError(f"Rows for {table.identifier} lack the column {missing[0]!r}.")
    types = table.arrow_types()
    columns = {
        name: _cast(rows[name], types[name], f"{table.identifier}.{name}")
        for name in known
        if name in rows.column_names and name not in PARTITION_COLUMNS
    }
    for name in table.bounded:
        if columns[name].null_count:
            raise GuardianError(f"Rows for {table.identifier} have no value in {name!r}.")
    return columns


def _cast(column: pa.ChunkedArray, wanted: pa.DataType, place: str) -> pa.ChunkedArray:
    given = column.type
    if given == wanted or (pa.types.is_string(wanted) and pa.types.is_large_string(given)):
        return column
    try:
        if pa.types.is_dictionary(given) and pa.types.is_string(wanted):
            return _plain_or_small(column)
        return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise GuardianError(
            f"Column {place} came as {given} and is no {wanted}: {error}"
        ) from error


def _plain_or_small(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without their dictionary, unless it is small: the writer puts it into every file."""
    coded = pa.chunked_array(
        [
            pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(pa.string()))
            for chunk in column.chunks
        ],
        pa.dictionary(column.type.index_type, pa.string()),
    )
    is_small = all(len(chunk.dictionary) <= _SMALL_DICTIONARY for chunk in coded.chunks)
    return coded if is_small else coded.cast(pa.string())


def split_by_hour(columns: dict[str, pa.ChunkedArray], placed_by: str) -> Iterator[HourSlice]:
    """The UTC hours of a batch in ascending order, each with its rows in the order given."""
    instants = columns[placed_by].cast(pa.int64()).to_numpy()
    if not len(instants):
        return
    hours = instants // _HOUR_US
    order = None if bool(np.all(hours[1:] >= hours[:-1])) else np.argsort(hours, kind="stable")
    ordered = hours if order is None else hours[order]
    edges = np.flatnonzero(np.diff(ordered)) + 1
    starts = np.concatenate(([0], edges))
    offsets = _offset_ranges(columns, hours, order, starts)
    for start, end in zip(starts, [*edges, len(hours)], strict=True):
        number = int(ordered[start])
        at = datetime.fromtimestamp(number * 3600, UTC)
        yield HourSlice(
            dt=f"{at:%Y-%m-%d}",
            hour=f"{at:%H}",
            start=int(start),
            indices=None if order is None else order[start:end],
            rows=int(end - start),
            offsets=offsets[number],
        )


def _offset_ranges(
    columns: dict[str, pa.ChunkedArray],
    hours: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64] | None,
    starts: npt.NDArray[np.int64],
) -> dict[int, dict[SourcePartition, tuple[int, int, int]]]:
    """First offset, last offset and row count by hour and source partition."""
    sources, partitions = pc.unique(columns["source"]), pc.unique(columns["partition"])
    if len(sources) == 1 and len(partitions) == 1:
        key = SourcePartition(sources[0].as_py(), partitions[0].as_py())
        offset = columns["offset"].to_numpy()
        offset = offset if order is None else offset[order]
        first, last = np.minimum.reduceat(offset, starts), np.maximum.reduceat(offset, starts)
        counts = np.diff(np.append(starts, len(hours)))
        numbers = (hours if order is None else hours[order])[starts]
        return {
            int(n): {key: (int(a), int(b), int(c))}
            for n, a, b, c in zip(numbers, first, last, counts, strict=True)
        }
    return _offset_ranges_by_group(columns, hours)


def _offset_ranges_by_group(
    columns: dict[str, pa.ChunkedArray], hours: npt.NDArray[np.int64]
) -> dict[int, dict[SourcePartition, tuple[int, int, int]]]:
    keys = ["source", "partition"]
    source = columns["source"]
    if pa.types.is_dictionary(source.type):
        source = source.cast(pa.string())
    table = pa.table(
        {"hour": hours, "source": source, "partition": columns["partition"]}
        | {"offset": columns["offset"]}
    )
    grouped = table.group_by(["hour", *keys]).aggregate(
        [("offset", "min"), ("offset", "max"), ("offset", "count")]
    )
    found: dict[int, dict[SourcePartition, tuple[int, int, int]]] = {}
    for row in grouped.to_pylist():
        key = SourcePartition(row["source"], row["partition"])
        found.setdefault(row["hour"], {})[key] = (
            row["offset_min"],
            row["offset_max"],
            row["offset_count"],
        )
    return found
