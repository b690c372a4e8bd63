"""The door of the lake: land rows, ask what has been landed, keep the tables small.

Landing is two steps: ``write_files`` puts Parquet files in place, ``commit`` makes them part of
the table together with the new source positions, atomically. A crash before the commit leaves
files that nothing names; the same batch overwrites them, or ``remove_orphans`` removes them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

import pyarrow as pa
from fsspec import AbstractFileSystem
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from clickstream_guardian.lake import commits, compaction, reconcile, upkeep
from clickstream_guardian.lake.catalog import open_catalog, warehouse_location
from clickstream_guardian.lake.failures import explained
from clickstream_guardian.lake.files import FileIndex, live_data_files, present
from clickstream_guardian.lake.layout import RAW_TABLES, raw_table
from clickstream_guardian.lake.model import (
    Compaction,
    DataFileRef,
    Orphans,
    SourcePartition,
    StagedFiles,
)
from clickstream_guardian.lake.parquet import ParquetWriter
from clickstream_guardian.lake.positions import PositionsMovedError, read_positions
from clickstream_guardian.lake.remote import s3_files
from clickstream_guardian.lake.staging import StagingArea

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def _ignore(_step: str) -> None:
    """The observer of steps when nobody watches."""


def open_lake(
    catalog_uri: str,
    warehouse: Path | str,
    *,
    properties: Mapping[str, str] = MappingProxyType({}),
    writer_threads: int = 2,
    on_step: Callable[[str], None] = _ignore,
) -> Lake:
    """Open the lake; its tables are made if missing, and given columns added since.

    Args:
        catalog_uri: SQLAlchemy URL of the catalog's PostgreSQL (``postgresql+psycopg://…``).
        warehouse: local folder, or a URI such as ``s3://bucket/lake``.
        properties: more properties of the PyIceberg catalog (``s3.endpoint`` and the like).
        writer_threads: threads that write Parquet files.
        on_step: told of each step that changes something on disk or in the catalog.

    Raises:
        GuardianError: the database does not answer, or the folder cannot be written.
        UsageError: the database holds the lake of another warehouse.
    """
    with explained("Opening the lake"):
        catalog = open_catalog(catalog_uri, warehouse_location(warehouse), properties)
    return Lake(catalog, writer_threads, on_step)


class Lake:
    """The raw tables. Safe to use from several threads; one writer process at a time.

    Tables are named ``clicks``, ``purchases``, ``rejected`` (``raw.clicks`` is understood too).
    """

    def __init__(
        self, catalog: SqlCatalog, writer_threads: int, on_step: Callable[[str], None]
    ) -> None:
        self._catalog = catalog
        self._on_step = on_step
        self._staging = StagingArea(writer_threads, on_step)
        self._indexes = {name: FileIndex() for name in RAW_TABLES}
        self._writing = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the threads and let go of the database."""
        self._staging.close()
        self._catalog.close()

    @cached_property
    def remote_files(self) -> AbstractFileSystem | None:
        """What DuckDB needs beside itself to open the lake's files; None on a local disk."""
        return s3_files(self._catalog.properties) if self._is_on_s3 else None

    @property
    def _is_on_s3(self) -> bool:
        return "s3.endpoint" in self._catalog.properties

    def attach(self, connection: DuckDBPyConnection) -> None:
        """Let a connection of DuckDB open the lake's files."""
        if self.remote_files is not None:
            connection.register_filesystem(self.remote_files)

    def iceberg_table(self, table: str) -> Table:
        """The table as PyIceberg sees it now, to scan or inspect."""
        with explained(f"Reading {table}"):
            return self._catalog.load_table(raw_table(table).identifier)

    def further_columns(self, table: str) -> pa.Schema:
        """The columns that a table has beyond the fields that this version knows."""
        raw = raw_table(table)
        return pa.schema(raw.as_it_is(self.iceberg_table(table).schema()).further)

    # --- landing

    def write_files(self, table: str, rows: pa.Table) -> StagedFiles:
        """Write rows as one Parquet file per UTC hour, not yet part of the table.

        Rows may come in any order; those in time order are written without copying. The names
        follow from source, partition and offsets, so the same batch written again overwrites.

        Raises:
            GuardianError: the rows do not fit the table, or a file cannot be written.
            PositionConflictError: rows lie before the stored position: they are landed already.
        """
        raw = raw_table(table)
        iceberg = self.iceberg_table(table)
        with explained(f"Writing {raw.identifier}"):
            return self._staging.write(rows, raw, iceberg)

    def commit(
        self,
        table: str,
        staged: StagedFiles | None,
        positions: Mapping[SourcePartition, int],
        expected: Mapping[SourcePartition, int] | None,
    ) -> None:
        """Make staged files part of the table and move source positions, in one atomic commit.

        Args:
            table: the table.
            staged: what ``write_files`` returned (several added up), or None: only positions move.
            positions: the next offset of each source partition after these files.
            expected: the positions this commit builds on (a missing one is 0). None only forbids
                going back.

        Raises:
            PositionConflictError: the stored positions are others; nothing was landed.
            GuardianError: the positions do not cover the files; or disk or database failed, then
                read ``positions`` to see what was landed.
        """
        raw = raw_table(table)
        batch = staged or StagedFiles(raw.name)
        commits.require_covered(raw.name, batch, positions, expected)
        with self._writing, explained(f"Committing to {raw.identifier}"):
            self._trim(table)
            self._staging.wait_durable(batch.files)
            self._on_step("before commit")
            load = partial(self.iceberg_table, table)
            try:
                commits.append(load, batch.files, positions, expected)
            except PositionsMovedError:
                self._staging.forget(batch.files)
                raise
            self._on_step("committed")
            self._staging.forget(batch.files)

    def positions(self, table: str) -> dict[SourcePartition, int]:
        """The next offset to land, of every source partition ever committed."""
        return read_positions(self.iceberg_table(table).properties)

    # --- what has been landed

    def data_files(
        self,
        table: str,
        dt_from: str | None = None,
        dt_to: str | None = None,
        hours: Collection[str] | None = None,
    ) -> list[DataFileRef]:
        """The committed files of some days (``YYYY-MM-DD``, inclusive) and hours (``HH``).

        On a local disk ``path`` is what DuckDB's ``read_parquet`` takes; with
        ``hive_partitioning = false``, or it makes ``dt`` a date and ``hour`` a number. The files
        stay readable for 30 minutes after a compaction has replaced them.
        """
        load = partial(self.iceberg_table, table)
        with explained(f"Reading {table}"):
            files = present(load, self._indexes[raw_table(table).name].read)
        return [
            file
            for file in files
            if (dt_from is None or file.dt >= dt_from)
            and (dt_to is None or file.dt <= dt_to)
            and (hours is None or file.hour in hours)
        ]

    def day_counts(self, table: str) -> dict[str, int]:
        """Rows by UTC day, from the manifests alone."""
        counts: Counter[str] = Counter()
        for file in self.data_files(table):
            counts[file.dt] += file.rows
        return dict(counts)

    def count_by_source_hour(
        self,
        table: str,
        connection: DuckDBPyConnection,
        dt_from: str | None = None,
        dt_to: str | None = None,
    ) -> list[reconcile.SourceHour]:
        """Rows and offsets by source partition and hour, of the days asked for (inclusive)."""
        files = self.data_files(table, dt_from, dt_to)
        return reconcile.count_by_source_hour(connection, files)

    # --- upkeep: the caller holds the home's writer lock

    def compact(
        self,
        table: str,
        closed_before: datetime,
        *,
        min_files: int = compaction.MIN_FILES,
        target_bytes: int = compaction.TARGET_BYTES,
    ) -> Compaction:
        """Merge the small files of hours that ended before an instant (aware).

        Rows and positions stay as they are. The replaced files stay on disk for readers until
        their snapshot expires (``expire_snapshots``), then ``remove_orphans`` removes them.

        Raises:
            GuardianError: a file lacks rows, or disk or database failed; the table is as it was.
        """
        with self._writing, explained(f"Compacting {table}"):
            iceberg = self.iceberg_table(table)
            files = live_data_files(iceberg, iceberg.current_snapshot())
            groups = compaction.plan(files, closed_before, min_files, target_bytes)
            size = compaction.HOURS_PER_COMMIT
            for start in range(0, len(groups), size):
                self._trim(table)
                self._replace(table, groups[start : start + size])
        return Compaction(
            hours=len({(group.dt, group.hour) for group in groups}),
            files_before=sum(len(group.files) for group in groups),
            files_after=len(groups),
        )

    def expire_snapshots(self, table: str, grace: timedelta = upkeep.READER_GRACE) -> int:
        """Forget old snapshots; those that readers of replaced files may use stay for ``grace``.

        Returns:
            How many were forgotten.
        """
        with self._writing, explained(f"Expiring snapshots of {table}"):
            iceberg = self.iceberg_table(table)
            ids = upkeep.expirable(iceberg, grace)
            if ids:
                iceberg.maintenance.expire_snapshots().by_ids(ids).commit()
                self._on_step("snapshots expired")
            return len(ids)

    def remove_orphans(self, table: str, grace: timedelta = upkeep.PLANNING_GRACE) -> Orphans:
        """Remove data and metadata files that no snapshot names and nobody is writing.

        Args:
            table: the table.
            grace: how old a nameless metadata file must be, for readers that are just planning.

        Raises:
            GuardianError: a file that the table names is gone (then nothing is removed), or the
                lake is not on a local disk.
        """
        with self._writing, explained(f"Tidying {table}"):
            iceberg = self.iceberg_table(table)
            return upkeep.remove_orphans(iceberg, self._staging.paths, grace, self._on_step)

    # --- inside

    def _trim(self, table: str) -> None:
        if len(self.iceberg_table(table).snapshots()) > upkeep.MAX_SNAPSHOTS:
            self.expire_snapshots(table)

    def _replace(self, table: str, groups: list[compaction.Group]) -> None:
        iceberg = self.iceberg_table(table)
        raw = raw_table(table).as_it_is(iceberg.schema())
        writer = ParquetWriter(raw, iceberg)
        jobs = [
            self._staging.submit(
                writer, group.target, partial(compaction.merge, group, iceberg.io, raw)
            )
            for group in groups
        ]
        merged = self._staging.finish(jobs)
        self._staging.wait_durable(merged)
        self._on_step("before compaction commit")
        try:
            commits.replace(iceberg, [old for group in groups for old in group.files], merged)
        finally:
            self._staging.forget(merged)
        self._on_step("compaction committed")
