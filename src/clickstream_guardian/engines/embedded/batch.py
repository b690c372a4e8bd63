"""The metric SQL on DuckDB: raw files of some days in, the rows of the metrics out.

A few days are computed at a time, by several connections of one thread each: days share nothing,
so this costs less than one query on all threads, and memory is bounded whatever the range.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import duckdb
import pyarrow as pa
from fsspec import AbstractFileSystem

from clickstream_guardian.engines.days import ComputedDays, days_between, parse_day
from clickstream_guardian.engines.embedded.clean import (
    find_blamed,
    find_clients,
    find_days,
    make_variants,
)
from clickstream_guardian.engines.embedded.connection import (
    DEFAULT_MEMORY_BYTES,
    DuckDbLimits,
    apply_limits,
    one_sentence,
    open_duckdb,
)
from clickstream_guardian.engines.embedded.raw_files import (
    RawFiles,
    as_column,
    local_path,
    paths_by_day,
)
from clickstream_guardian.engines.embedded.views import RawDays, make_views
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.metrics.clean import EXCLUDED_SCHEMA, delta_rows, delta_schema
from clickstream_guardian.metrics.model import ColumnType, Metric, MetricColumn

DAYS_AT_A_TIME = 4

_SQL_TYPES = {
    ColumnType.DAY: "VARCHAR",
    ColumnType.TEXT: "VARCHAR",
    ColumnType.COUNT: "BIGINT",
    ColumnType.MONEY: "DECIMAL(38, 2)",
}


class DuckDbEngine:
    """Computes metrics over a lake; a context manager that holds connections."""

    def __init__(
        self,
        lake: RawFiles,
        temp_dir: Path,
        threads: int | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        remote_files: AbstractFileSystem | None = None,
    ) -> None:
        """Args:
        lake: where the raw files are listed, anew at each call.
        temp_dir: folder for what does not fit into memory; made when needed.
        threads: how many threads work at once; by default one per processor.
        memory_bytes: bound of DuckDB's memory, over all threads.
        remote_files: opens the raw files, if they are not on a local disk.
        """
        self.limits = DuckDbLimits(
            temp_dir, threads or os.cpu_count() or 1, memory_bytes, remote_files
        )
        self._lake = lake
        self._open = ExitStack()
        self._idle: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and remove their temporary files."""
        self._open.close()
        self._idle = SimpleQueue()

    def compute(self, metric: Metric, dt_from: str, dt_to: str) -> pa.Table:
        """The rows of one metric from day ``dt_from`` to ``dt_to``, both included, in no order.

        Raises:
            UsageError: a day is no date, or the range is empty.
            GuardianError: DuckDB cannot compute it.
        """
        parts = self.compute_days([metric], days_between(dt_from, dt_to))
        return pa.concat_tables([part.rows[metric.name] for part in parts])

    def compute_days(
        self, metrics: Sequence[Metric], dts: Iterable[str], blamed: pa.Table | None = None
    ) -> Iterator[ComputedDays]:
        """The numbers of these days, a few days at a time, in the order of the days.

        A day without events has the rows that the metrics give for one (zeros, or none). Work
        goes on while the caller uses a result, a few results ahead.

        Args:
            metrics: which.
            dts: UTC days, YYYY-MM-DD.
            blamed: the sessions that clean numbers leave out (``clean.BLAMED_SCHEMA``).

        Raises:
            UsageError: a day is no date.
            GuardianError: DuckDB cannot compute it.
        """
        days = sorted({parse_day(dt).isoformat() for dt in dts})
        if not days:
            return
        work = self._cut(days)
        workers = min(self.limits.threads, len(work))
        self._prepare(workers)
        pool = ThreadPoolExecutor(workers, "days")
        ahead: deque[Future[ComputedDays]] = deque()
        try:
            for part in work:
                ahead.append(pool.submit(self._compute, metrics, part, blamed))
                if len(ahead) > workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def find_days(self, sessions: Sequence[str], besides: Iterable[str] = ()) -> pa.Table:
        """On which days sessions have an event: ``dt`` and ``session_id``.

        Args:
            sessions: whose days.
            besides: days not to be looked at.

        Raises:
            GuardianError: DuckDB cannot tell.
        """
        files = {kind.table: self._files(kind.table, besides) for kind in EVENT_KINDS}
        with self._asking(f"The days of {len(sessions)} sessions") as connection:
            return find_days(connection, sessions, files)

    def find_clients(self, sessions: Sequence[str], first: date, last: date) -> pa.Table:
        """Who sessions come from, as their events say: ``session_id``, ``user_id``, ``ip``.

        Args:
            sessions: of whom.
            first: the first day to look at; ``last`` the last.

        Raises:
            GuardianError: DuckDB cannot tell.
        """
        paths = [
            local_path(file)
            for kind in EVENT_KINDS
            for file in self._lake.data_files(kind.table, first.isoformat(), last.isoformat())
        ]
        with self._asking(f"The clients of {len(sessions)} sessions") as connection:
            return find_clients(connection, sessions, paths)

    @contextmanager
    def _asking(self, what: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one question."""
        self._prepare(1)
        connection = self._idle.get()
        try:
            yield connection
        except duckdb.Error as error:
            raise GuardianError(
                f"{what} cannot be found: {one_sentence(error)}; "
                "check the lake with `guardian status` and run again."
            ) from error
        finally:
            self._idle.put(connection)

    def _files(self, table: str, besides: Iterable[str]) -> dict[str, list[str]]:
        found = paths_by_day(self._lake.data_files(table))
        return {dt: paths for dt, paths in found.items() if dt not in set(besides)}

    def _prepare(self, workers: int) -> None:
        """Have at least so many connections, each with its share of threads and memory."""
        while self._idle.qsize() < workers:
            self._idle.put(self._open.enter_context(open_duckdb(self.limits)))
        for _ in range(self._idle.qsize()):
            connection = self._idle.get()
            apply_limits(connection, self.limits.share(workers))
            self._idle.put(connection)

    def _compute(
        self, metrics: Sequence[Metric], days: RawDays, blamed: pa.Table | None
    ) -> ComputedDays:
        connection = self._idle.get()
        try:
            return _compute(connection, metrics, days, blamed)
        except duckdb.Error as error:
            raise GuardianError(
                f"The metrics of {days.dts[0]} to {days.dts[-1]} cannot be computed: "
                f"{one_sentence(error)}; check the lake with `guardian status` and run again."
            ) from error
        finally:
            self._idle.put(connection)

    def _cut(self, days: Sequence[str]) -> list[RawDays]:
        files = {
            kind.table: paths_by_day(self._lake.data_files(kind.table, days[0], days[-1]))
            for kind in EVENT_KINDS
        }
        size = min(DAYS_AT_A_TIME, -(-len(days) // self.limits.threads))
        return [
            RawDays(tuple(days[start : start + size]), files) for start in range(0, len(days), size)
        ]


def _compute(
    connection: duckdb.DuckDBPyConnection,
    metrics: Sequence[Metric],
    days: RawDays,
    blamed: pa.Table | None,
) -> ComputedDays:
    make_views(connection, metrics, days)
    rows = _rows(connection, metrics)
    excluded = EXCLUDED_SCHEMA.empty_table()
    if blamed is not None and blamed.num_rows:
        excluded = find_blamed(connection, blamed)
    deltas = {metric.name: delta_schema(metric).empty_table() for metric in metrics}
    if excluded.num_rows:
        variants = make_variants(connection, metrics, excluded)
        found = _rows(connection, metrics)
        deltas = {m.name: delta_rows(m, found[m.name], variants) for m in metrics}
    return ComputedDays(days.dts, rows, deltas, excluded)


def _rows(
    connection: duckdb.DuckDBPyConnection, metrics: Sequence[Metric]
) -> Mapping[str, pa.Table]:
    return {metric.name: connection.sql(_typed(metric)).to_arrow_table() for metric in metrics}


def _typed(metric: Metric) -> str:
    """The metric's rows in its columns and types."""
    columns = ", ".join(_typed_column(column) for column in metric.columns)
    return f"SELECT {columns} FROM ({metric.sql})"


def _typed_column(column: MetricColumn) -> str:
    return (
        f"CAST({as_column(column.name)} AS {_SQL_TYPES[column.type]}) AS {as_column(column.name)}"
    )
