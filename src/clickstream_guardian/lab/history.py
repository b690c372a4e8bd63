"""Days of the lake as the detector saw them: late events left out, the rest in event-time order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from clickstream_guardian.detector.lateness import NEVER, late_mask
from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.events.identity import ids_from_arrow
from clickstream_guardian.lake.lake import Lake

_ORDER = """
    SELECT source, partition, "offset", epoch_us(occurred_at) AS at
    FROM read_parquet(?, hive_partitioning=false, union_by_name=true)
    ORDER BY source, partition, "offset"
"""
_DAY = """
    SELECT session_id, occurred_at, item_id, event_id, source, partition, "offset"
    FROM read_parquet(?, hive_partitioning=false, union_by_name=true)
    ORDER BY occurred_at, source, partition, "offset"
"""


@dataclass(frozen=True)
class History:
    """Some days of the lake.

    Lateness is recomputed from the order of each source partition within these days.
    """

    lake: Lake
    first: date
    last: date
    lateness_us: int

    def days(self, kind: EventKind) -> Iterator[pl.DataFrame]:
        """The events of one kind, day by day, with the columns of an ``Arrival``.

        Raises:
            UsageError: the lake has no such events in these days.
        """
        paths = self._paths(kind)
        if not any(paths.values()):
            raise UsageError(
                f"The lake holds no {kind.table} from {self.first} to {self.last}; replay them "
                "first, or give other --days."
            )
        with duckdb.connect() as connection:
            self.lake.attach(connection)
            connection.execute("SET TimeZone = 'UTC'")
            late = self._late(connection, [path for day in paths.values() for path in day])
            for files in paths.values():
                if files:
                    yield _in_time(connection.sql(_DAY, params=[files]).to_arrow_table(), late)

    def _paths(self, kind: EventKind) -> dict[date, list[str]]:
        count = (self.last - self.first).days + 1
        paths: dict[date, list[str]] = {self.first + timedelta(days=n): [] for n in range(count)}
        for file in self.lake.data_files(kind.table, str(self.first), str(self.last)):
            paths[date.fromisoformat(file.dt)].append(file.path)
        return paths

    def _late(self, connection: duckdb.DuckDBPyConnection, paths: list[str]) -> pl.DataFrame:
        """(source, partition, offset) of every late event."""
        rows = pl.DataFrame(pl.from_arrow(connection.sql(_ORDER, params=[paths]).to_arrow_table()))
        found = [
            part.filter(pl.Series(late_mask(part["at"].to_numpy(), NEVER, self.lateness_us)))
            for part in rows.partition_by("source", "partition", maintain_order=True)
        ]
        return pl.concat(found).select("source", "partition", "offset")


def _in_time(table: pa.Table, late: pl.DataFrame) -> pl.DataFrame:
    ids = ids_from_arrow(table["event_id"].combine_chunks().cast(pa.binary(16)))
    frame = pl.DataFrame(pl.from_arrow(table.drop_columns(["event_id"]))).with_columns(ids)
    place = ["source", "partition", "offset"]
    kept = frame.join(late, on=place, how="anti", maintain_order="left") if len(late) else frame
    assert np.all(np.diff(kept["occurred_at"].to_physical().to_numpy()) >= 0)
    return kept.select("session_id", "occurred_at", "item_id", "event_id")
