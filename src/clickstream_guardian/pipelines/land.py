"""Landing: every event and every rejected line into the lake, each table at its own position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

import polars as pl
import pyarrow as pa

from clickstream_guardian.events.identity import ids_to_arrow
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.model import SourcePartition, StagedFiles
from clickstream_guardian.sources.replay import Batch, FileSource, Part, rejected

COMMIT_FILES = 400
"""Hour files after which a commit is made, if time does not call for one before."""
FLUSH_ROWS = 400_000
"""Rows that wait for others of their hours before files are written."""


class Lander:
    """Lands batches: small ones wait for others, files wait for a commit of many together.

    What waits is not landed: a crash loses nothing but work, since a restart goes on at each
    table's own stored position. What lies before it is dropped here.
    """

    def __init__(self, lake: Lake, commit_files: int = COMMIT_FILES) -> None:
        self.lake = lake
        self.commit_files = commit_files
        self.landed: dict[str, dict[SourcePartition, int]] = {
            table: lake.positions(table) for table in ("clicks", "purchases", "rejected")
        }
        self.waiting: dict[str, list[pa.Table]] = defaultdict(list)
        self.staged: dict[str, StagedFiles] = {}
        self.reached: dict[str, dict[SourcePartition, int]] = defaultdict(dict)

    def position(self, file: FileSource) -> int:
        """The first offset of a file's events that is not landed."""
        return self.landed[file.kind.table].get(SourcePartition(file.source, 0), 0)

    def land(self, batch: Batch) -> None:
        """Take a batch's events; write and commit when enough have come together."""
        for part in batch.parts:
            self._take(part)
        for table, rows in list(self.waiting.items()):
            if sum(one.num_rows for one in rows) >= FLUSH_ROWS:
                self._write(table)
        if sum(len(staged.files) for staged in self.staged.values()) >= self.commit_files:
            self.commit()

    def land_rejected(self, file: FileSource) -> None:
        """Land the rejected lines of a file that are not landed yet."""
        key = SourcePartition(file.source, 0)
        for lines in rejected(file, self.landed["rejected"].get(key, 0)):
            rows = _rejected_rows(lines, file)
            self._add("rejected", rows, key, int(lines["offset"][-1]) + 1)
            self.commit()

    def commit(self) -> None:
        """Make everything taken part of the lake, one atomic commit per table."""
        for table in list(self.waiting):
            self._write(table)
        for table, positions in self.reached.items():
            known = self.landed[table]
            expected = {key: known.get(key, 0) for key in positions}
            self.lake.commit(table, self.staged.get(table), positions, expected)
            known.update(positions)
        self.staged.clear()
        self.reached.clear()

    def _take(self, part: Part) -> None:
        table, key = part.file.kind.table, SourcePartition(part.file.source, 0)
        start = self.landed[table].get(key, 0)
        if part.next_offset <= start:
            return
        events = part.events
        if len(events) and int(events["offset"][0]) < start:
            events = events.filter(pl.col("offset") >= start)
        self._add(table, raw_rows(events, part.file), key, part.next_offset)

    def _add(self, table: str, rows: pa.Table, key: SourcePartition, next_offset: int) -> None:
        if rows.num_rows:
            self.waiting[table].append(rows)
        self.reached[table][key] = next_offset

    def _write(self, table: str) -> None:
        rows = self.waiting.pop(table)
        if rows:
            written = self.lake.write_files(
                table, pa.concat_tables(rows, promote_options="default")
            )
            before = self.staged.get(table)
            self.staged[table] = written if before is None else before + written


def raw_rows(events: pl.DataFrame, file: FileSource) -> pa.Table:
    """Events with their ingestion columns, as the raw table takes them."""
    if not len(events):
        return pa.table({})
    fields = [name for name in file.kind.field_names if name in events.columns]
    table = events.select(*(n for n in fields if n != "event_id"), "offset").to_arrow()
    table = table.append_column("event_id", ids_to_arrow(events["event_id"]))
    return with_ingestion(table, file.source, file.received_at)


def _rejected_rows(lines: pl.DataFrame, file: FileSource) -> pa.Table:
    table = lines.with_columns(kind=pl.lit(file.kind.name), place=pl.lit(file.path.name)).to_arrow()
    return with_ingestion(table, file.source, file.received_at)


def with_ingestion(table: pa.Table, source: str, received_at: datetime) -> pa.Table:
    """The columns that say where from and when the rows of one source came."""
    rows = table.num_rows
    constant: Mapping[str, pa.Scalar] = {
        "partition": pa.scalar(0, pa.int32()),
        "received_at": pa.scalar(received_at, pa.timestamp("us", "UTC")),
    }
    for name, value in constant.items():
        table = table.append_column(name, pa.repeat(value, rows))
    indices = pa.repeat(pa.scalar(0, pa.int32()), rows)
    return table.append_column(
        "source", pa.DictionaryArray.from_arrays(indices, pa.array([source]))
    )
