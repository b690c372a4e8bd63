"""Files between being written and being committed: written in parallel, then made durable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from clickstream_guardian.lake.commits import already_landed
from clickstream_guardian.lake.layout import RawTable
from clickstream_guardian.lake.local_io import local_path, make_durable
from clickstream_guardian.lake.model import HourFile, StagedFiles, union_ranges
from clickstream_guardian.lake.parquet import ParquetWriter
from clickstream_guardian.lake.positions import read_positions
from clickstream_guardian.lake.rows import conform, split_by_hour

_DISK_THREADS = 8


class StagingArea:
    """Writes hour files and remembers them until they are committed.

    Flushing to the disk overlaps with the writing of the next files.
    """

    def __init__(self, threads: int, on_step: Callable[[str], None]) -> None:
        self._writers = ThreadPoolExecutor(threads, thread_name_prefix="lake-write")
        self._disk = ThreadPoolExecutor(_DISK_THREADS, thread_name_prefix="lake-flush")
        self._flushes: dict[Path, Future[None] | None] = {}
        self._guard = threading.Lock()
        self._on_step = on_step

    def close(self) -> None:
        """Give up what has not begun and wait for the rest."""
        self._writers.shutdown(cancel_futures=True)
        self._disk.shutdown()

    def paths(self) -> set[Path]:
        """Files being written or waiting for their commit."""
        with self._guard:
            return set(self._flushes)

    def write(self, rows: pa.Table, table: RawTable, iceberg: Table) -> StagedFiles:
        """Write one file per hour of the rows.

        Raises:
            GuardianError: the rows do not fit the table.
            PositionConflictError: rows lie before the stored positions.
            OSError: a file cannot be written.
        """
        columns = conform(rows, table)
        slices = list(split_by_hour(columns, table.placed_by))
        ranges = union_ranges(part.ranges for part in slices)
        stored = read_positions(iceberg.properties)
        for key, found in ranges.items():
            if found.first < stored.get(key, 0):
                raise already_landed(key, found.first, stored[key])
        writer = ParquetWriter(table, iceberg)
        jobs = [self.submit(writer, part.file, partial(part.take, columns)) for part in slices]
        return StagedFiles(table.name, self.finish(jobs), ranges)

    def submit(
        self,
        writer: ParquetWriter,
        file: HourFile,
        columns: Callable[[], Mapping[str, pa.ChunkedArray]],
    ) -> Future[DataFile]:
        """Write a file in the background; its columns are made there too."""
        return self._writers.submit(self._write, writer, file, columns)

    def finish(self, jobs: list[Future[DataFile]]) -> tuple[DataFile, ...]:
        """Wait for files; at the first failure give up those not begun, and raise it."""
        done, running = wait(jobs, return_when=FIRST_EXCEPTION)
        failure = next((job.exception() for job in done if job.exception()), None)
        if failure:
            for job in running:
                job.cancel()
            wait(jobs)
            self.forget(job.result() for job in jobs if not job.cancelled() and not job.exception())
            raise failure
        return tuple(job.result() for job in jobs)

    def wait_durable(self, files: Iterable[DataFile]) -> None:
        """Wait until the contents of these files are on the disk."""
        for file in files:
            flush = self._flushes.get(local_path(file.file_path))
            if flush is not None:
                flush.result()

    def forget(self, files: Iterable[DataFile]) -> None:
        """These files are committed, or given up."""
        with self._guard:
            for file in files:
                self._flushes.pop(local_path(file.file_path), None)

    def _write(
        self,
        writer: ParquetWriter,
        file: HourFile,
        columns: Callable[[], Mapping[str, pa.ChunkedArray]],
    ) -> DataFile:
        path = local_path(writer.location(file))
        self._note(path, None)
        try:
            written = writer.write(file, columns())
        except BaseException:
            with self._guard:
                self._flushes.pop(path, None)
            raise
        if writer.is_local:
            self._note(path, self._disk.submit(make_durable, path))
        self._on_step("file written")
        return written

    def _note(self, path: Path, flush: Future[None] | None) -> None:
        with self._guard:
            self._flushes[path] = flush
