"""The metric SQL on Spark: raw tables of the lake in, the rows of the metrics out.

Some days are computed at a time, so that what is held in memory is bounded whatever the range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

from clickstream_guardian.engines.days import ComputedDays, parse_day
from clickstream_guardian.engines.spark.clean import find_blamed, find_clients, find_days
from clickstream_guardian.engines.spark.raw_tables import RawTables, read_table
from clickstream_guardian.engines.spark.views import Views, as_spark
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.metrics.clean import EXCLUDED_SCHEMA, delta_rows, delta_schema
from clickstream_guardian.metrics.model import ColumnType, Metric, MetricColumn

DAYS_AT_A_TIME = 31

_SQL_TYPES = {
    ColumnType.DAY: "string",
    ColumnType.TEXT: "string",
    ColumnType.COUNT: "bigint",
    ColumnType.MONEY: "decimal(38, 2)",
}


class SparkEngine:
    """Computes metrics over a lake, in a Spark session that it is given. Safe to use by threads."""

    def __init__(
        self, session: SparkSession, lake: RawTables, days_at_a_time: int = DAYS_AT_A_TIME
    ) -> None:
        """Args:
        session: each part is computed in a sibling of it, so that no views meet others.
        lake: where the raw tables are, asked anew for each part of the days.
        days_at_a_time: how many days are computed together, and held in memory.
        """
        self._session = session
        self._lake = lake
        self._days_at_a_time = days_at_a_time

    def compute_days(
        self, metrics: Sequence[Metric], dts: Iterable[str], blamed: pa.Table | None = None
    ) -> Iterator[ComputedDays]:
        """The numbers of these days, some days at a time, in the order of the days.

        A day without events has the rows that the metrics give for one (zeros, or none). All
        metrics of a day are computed of one snapshot of the lake.

        Args:
            metrics: which.
            dts: UTC days, YYYY-MM-DD.
            blamed: the sessions that clean numbers leave out (``clean.BLAMED_SCHEMA``).

        Raises:
            UsageError: a day is no date.
            GuardianError: Spark cannot compute it.
        """
        days = sorted({parse_day(dt).isoformat() for dt in dts})
        for start in range(0, len(days), self._days_at_a_time):
            part = days[start : start + self._days_at_a_time]
            try:
                yield self._compute(metrics, part, blamed)
            except (PySparkException, Py4JJavaError) as error:
                raise GuardianError(
                    f"The metrics of {part[0]} to {part[-1]} cannot be computed: "
                    f"{one_sentence(error)}; check the lake with `guardian status` and run again."
                ) from error

    def find_days(self, sessions: Sequence[str], besides: Iterable[str] = ()) -> pa.Table:
        """On which days sessions have an event: ``dt`` and ``session_id``.

        Args:
            sessions: whose days.
            besides: days not to be looked at.

        Raises:
            GuardianError: Spark cannot tell.
        """
        session = self._session.newSession()
        raw = list(self._raw_tables(session).values())
        with _told(f"The days of {len(sessions)} sessions"):
            return find_days(session, raw, sessions, list(besides))

    def find_clients(self, sessions: Sequence[str], first: date, last: date) -> pa.Table:
        """Who sessions come from, as their events say: ``session_id``, ``user_id``, ``ip``.

        Args:
            sessions: of whom.
            first: the first day to look at; ``last`` the last.

        Raises:
            GuardianError: Spark cannot tell.
        """
        session = self._session.newSession()
        raw = list(self._raw_tables(session).values())
        with _told(f"The clients of {len(sessions)} sessions"):
            return find_clients(session, raw, sessions, (first.isoformat(), last.isoformat()))

    def _raw_tables(self, session: SparkSession) -> dict[str, DataFrame]:
        return {
            kind.table: read_table(session, self._lake.iceberg_table(kind.table))
            for kind in EVENT_KINDS
        }

    def _compute(
        self, metrics: Sequence[Metric], days: Sequence[str], blamed: pa.Table | None
    ) -> ComputedDays:
        session = self._session.newSession()
        session.conf.set("spark.sql.shuffle.partitions", _partitions(session))
        deltas = {metric.name: delta_schema(metric).empty_table() for metric in metrics}
        excluded = EXCLUDED_SCHEMA.empty_table()
        with Views(session, metrics, self._raw_tables(session), days) as views:
            rows = _rows(session, metrics)
            if blamed is not None and blamed.num_rows:
                excluded = find_blamed(session, blamed)
            if excluded.num_rows:
                variants = views.replace_by_variants(excluded)
                found = _rows(session, metrics)
                deltas = {m.name: delta_rows(m, found[m.name], variants) for m in metrics}
        return ComputedDays(tuple(days), rows, deltas, excluded)


def _rows(session: SparkSession, metrics: Sequence[Metric]) -> dict[str, pa.Table]:
    return {
        metric.name: _typed(session.sql(as_spark(metric.sql)), metric).toArrow()
        for metric in metrics
    }


def one_sentence(error: PySparkException | Py4JJavaError) -> str:
    """What Spark says, on one line, without the plan and the trace: the cause below all others."""
    said = str(error)
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        said = str(cause.getMessage() or cause.toString())
    return said.strip().splitlines()[0].rstrip(".!")


def _partitions(session: SparkSession) -> int:
    """So many parts of a shuffle that each processor has a few to even out their sizes."""
    return 3 * session.sparkContext.defaultParallelism


def _typed(rows: DataFrame, metric: Metric) -> DataFrame:
    """The metric's rows in its columns and types."""
    return rows.select(*(_typed_column(column) for column in metric.columns))


def _typed_column(column: MetricColumn) -> Column:
    return f.col(column.name).cast(_SQL_TYPES[column.type]).alias(column.name)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn Spark's refusal of a question into a sentence."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise GuardianError(
            f"{what} cannot be found: {one_sentence(error)}; "
            "check the lake with `guardian status` and run again."
        ) from error
