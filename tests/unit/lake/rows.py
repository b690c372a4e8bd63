"""Rows for the lake's tests, and what a test asks of a lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.events.schemas import raw_arrow_schema, rejected_arrow_schema
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.model import SourcePartition

MIDNIGHT = datetime(2014, 4, 7, tzinfo=UTC)
FILE = SourcePartition("a3f0", 0)


def clicks(
    first: int,
    count: int,
    *,
    at: datetime = MIDNIGHT,
    every: timedelta = timedelta(seconds=1),
    source: SourcePartition = FILE,
) -> pa.Table:
    """Clicks with consecutive offsets from ``first``, ``every`` so often from ``at``."""
    offsets = range(first, first + count)
    values: dict[str, list[object]] = {
        "event_id": [f"{source.source[:4]}{offset:012d}".encode() for offset in offsets],
        "session_id": [str(offset // 4) for offset in offsets],
        "occurred_at": [at + every * number for number in range(count)],
        "item_id": [str(214_500_000 + offset % 7) for offset in offsets],
        "category": [None if offset % 2 else "S" for offset in offsets],
        "source": [source.source] * count,
        "partition": [source.partition] * count,
        "offset": list(offsets),
        "received_at": [MIDNIGHT] * count,
    }
    schema = raw_arrow_schema(CLICK)
    return pa.table(
        {
            field.name: pa.array(values.get(field.name, [None] * count), field.type)
            for field in schema
            if field.name not in ("dt", "hour")
        }
    )


def rejections(first: int, count: int, *, at: datetime = MIDNIGHT) -> pa.Table:
    """Rejected lines with consecutive offsets from ``first``, all received at ``at``."""
    values: dict[str, list[object]] = {
        "source": [FILE.source] * count,
        "partition": [FILE.partition] * count,
        "offset": list(range(first, first + count)),
        "received_at": [at] * count,
        "kind": ["click"] * count,
        "place": ["clicks.dat"] * count,
        "line_number": [None] * count,
        "reason": ["bad_timestamp"] * count,
        "detail": ["'x' is no timestamp"] * count,
        "raw": ["1,x,2,0"] * count,
        "raw_bytes": [7] * count,
    }
    schema = rejected_arrow_schema()
    return pa.table({n: pa.array(values[n], schema.field(n).type) for n in values})


def land(lake: Lake, first: int, count: int, **options: object) -> None:
    """Land clicks of ``FILE`` from ``first`` on, as a run that goes on at its position does."""
    staged = lake.write_files("clicks", clicks(first, count, **options))  # type: ignore[arg-type]
    lake.commit("clicks", staged, {FILE: first + count}, {FILE: first})


def query(lake: Lake, select: str, table: str = "clicks") -> list[tuple[object, ...]]:
    """A DuckDB query over the table's files, which are called ``raw``."""
    paths = [file.path for file in lake.data_files(table)]
    if not paths:
        return []
    connection = duckdb.connect()
    connection.execute(
        f"CREATE VIEW raw AS FROM read_parquet({paths!r}, hive_partitioning = false)"
    )
    return connection.execute(select).fetchall()


def landed_offsets(lake: Lake, table: str = "clicks") -> list[int]:
    """Every offset in the table's files, in order, as often as it is there."""
    return [row[0] for row in query(lake, 'SELECT "offset" FROM raw ORDER BY 1', table)]  # type: ignore[misc]


def properties(lake: Lake, table: str = "clicks") -> Mapping[str, str]:
    """The table's properties in the catalog."""
    return lake.iceberg_table(table).properties


def paths(lake: Lake, table: str = "clicks") -> Sequence[str]:
    """The paths of the table's committed files."""
    return [file.path for file in lake.data_files(table)]
