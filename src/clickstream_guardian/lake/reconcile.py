"""What has been landed, source by source: counts by hour, offsets that are missing or repeated.

Together with the rejected rows this is the reconciliation: every offset of a source lies exactly
once in its raw table or in ``raw.rejected``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickstream_guardian.lake.model import DataFileRef, OffsetRange, SourcePartition

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BUCKET_BITS = 20
_HOLES_SHOWN = 10


@dataclass(frozen=True, order=True)
class SourceHour:
    """Rows of one source partition in one UTC hour, and the offsets between which they lie."""

    source: SourcePartition
    dt: str
    hour: str
    rows: int
    offsets: OffsetRange


@dataclass(frozen=True, order=True)
class OffsetCheck:
    """Whether the offsets of a source partition lie gapless and once each.

    ``offsets`` are the least and greatest found: whether they begin and end where the source does
    is for the caller to compare (0 and the stored position).
    """

    source: SourcePartition
    rows: int
    offsets: OffsetRange
    missing: int
    repeated: int
    holes: tuple[OffsetRange, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Nothing missing between the first and the last offset, nothing twice."""
        return self.missing == 0 and self.repeated == 0


def count_by_source_hour(
    connection: DuckDBPyConnection, files: Sequence[DataFileRef]
) -> list[SourceHour]:
    """Rows by source partition and hour.

    Files of a single source are counted from the manifests; only mixed ones are read.
    """
    mixed = [file for file in files if file.source is None]
    parts = [
        SourceHour(file.source, file.dt, file.hour, file.rows, file.offsets)
        for file in files
        if file.source and file.offsets
    ] + (_read_source_hours(connection, mixed) if mixed else [])
    found: dict[tuple[SourcePartition, str, str], SourceHour] = {}
    for part in parts:
        key = (part.source, part.dt, part.hour)
        known = found.get(key)
        found[key] = part if known is None else _together(known, part)
    return sorted(found.values())


def _together(one: SourceHour, other: SourceHour) -> SourceHour:
    offsets = OffsetRange(
        min(one.offsets.first, other.offsets.first), max(one.offsets.last, other.offsets.last)
    )
    return SourceHour(one.source, one.dt, one.hour, one.rows + other.rows, offsets)


def _read_source_hours(
    connection: DuckDBPyConnection, files: Sequence[DataFileRef]
) -> list[SourceHour]:
    rows = connection.execute(
        'SELECT source, "partition", dt, hour, count(*), min("offset"), max("offset") '
        "FROM read_parquet($paths, hive_partitioning = false) GROUP BY ALL",
        {"paths": [file.path for file in files]},
    ).fetchall()
    return [
        SourceHour(SourcePartition(source, partition), dt, hour, count, OffsetRange(first, last))
        for source, partition, dt, hour, count, first, last in rows
    ]


def check_offsets(connection: DuckDBPyConnection, paths: Sequence[str]) -> list[OffsetCheck]:
    """Look for offsets that are missing or repeated, source partition by source partition.

    Args:
        connection: any DuckDB connection.
        paths: the files of every table that a source lands in (``rejected`` too).
    """
    if not paths:
        return []
    # Counting distinct values bucket by bucket takes half the time and memory of all at once.
    rows = connection.execute(
        "SELECT source, part, sum(n)::BIGINT, min(low), max(high), sum(d)::BIGINT FROM ("
        f'SELECT source, "partition" AS part, "offset" >> {_BUCKET_BITS} AS bucket, '
        'count(*) AS n, count(DISTINCT "offset") AS d, min("offset") AS low, '
        'max("offset") AS high FROM read_parquet($paths, hive_partitioning = false) GROUP BY ALL'
        ") GROUP BY ALL ORDER BY ALL",
        {"paths": list(paths)},
    ).fetchall()
    return [
        _offset_check(connection, paths, SourcePartition(source, partition), *figures)
        for source, partition, *figures in rows
    ]


def _offset_check(
    connection: DuckDBPyConnection,
    paths: Sequence[str],
    source: SourcePartition,
    rows: int,
    first: int,
    last: int,
    distinct: int,
) -> OffsetCheck:
    missing = last - first + 1 - distinct
    return OffsetCheck(
        source=source,
        rows=rows,
        offsets=OffsetRange(first, last),
        missing=missing,
        repeated=rows - distinct,
        holes=_holes(connection, paths, source) if missing else (),
    )


def _holes(
    connection: DuckDBPyConnection, paths: Sequence[str], source: SourcePartition
) -> tuple[OffsetRange, ...]:
    """The first few gaps between the offsets of a source partition."""
    rows = connection.execute(
        "SELECT previous + 1, found - 1 FROM ("
        'SELECT "offset" AS found, lag("offset") OVER (ORDER BY "offset") AS previous '
        "FROM read_parquet($paths, hive_partitioning = false) "
        'WHERE source = $source AND "partition" = $partition'
        f") WHERE found > previous + 1 ORDER BY 1 LIMIT {_HOLES_SHOWN}",
        {"paths": list(paths), "source": source.source, "partition": source.partition},
    ).fetchall()
    return tuple(OffsetRange(first, last) for first, last in rows)
