"""The views that metrics read, as temporary views in Spark for some days at a time.

The SQL is that of ``metrics/views``; sqlglot writes what Spark says otherwise (QUALIFY, the order
of nulls, quoting). A view that several read is kept in memory until its days are done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Self

import pyarrow as pa
import sqlglot
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from clickstream_guardian.engines.spark.clean import show_variants
from clickstream_guardian.engines.spark.repeats import each_once
from clickstream_guardian.events.fields import EVENT_KINDS, INGESTION_FIELDS, EventKind
from clickstream_guardian.metrics.clean import (
    Variant,
    select_blamed,
    select_witnesses,
    variants_of,
)
from clickstream_guardian.metrics.loader import DAYS_VIEW, needed_views, read_fields
from clickstream_guardian.metrics.model import EngineView, Metric


@cache
def as_spark(sql: str) -> str:
    """The SQL of a metric or view in Spark's words."""
    return sqlglot.transpile(sql, read="duckdb", write="spark", comments=False)[0]


class Views:
    """The views of some days; a context manager that lets go of what it holds in memory."""

    def __init__(
        self,
        session: SparkSession,
        metrics: Sequence[Metric],
        raw: Mapping[str, DataFrame],
        dts: Sequence[str],
    ) -> None:
        """Args:
        session: where the views are made.
        metrics: what will read them.
        raw: the rows of the raw tables, by table.
        dts: the days.
        """
        self._session = session
        self._metrics = metrics
        self._raw = raw
        self._dts = list(dts)
        self._held: list[DataFrame] = []

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        for frame in self._held:
            # Spark has no word for it: what a checkpoint holds goes when Java's collector finds it.
            frame._jdf.queryExecution().logical().rdd().unpersist(False)

    def _make(self) -> None:
        views = needed_views(self._metrics)
        days = ", ".join(f"('{dt}')" for dt in self._dts)
        self._session.sql(f"VALUES {days} AS t(dt)").createOrReplaceTempView(DAYS_VIEW)
        definitions = {view.name: view.sql for view in views}
        readers = _readers(self._metrics, views)
        for kind in EVENT_KINDS:
            columns = [*read_fields(kind, self._metrics), "dt"]
            rows = self._rows(kind, columns)
            raw_view = f"raw_{kind.table}"
            rows.createOrReplaceTempView(raw_view)
            if kind.table in definitions:
                definition = as_spark(definitions[kind.table])
                once = each_once(rows, raw_view, definition, columns)
                self._show(kind.table, once, readers[kind.table])
        self._show_views_over_events()

    def replace_by_variants(self, excluded: pa.Table) -> list[Variant]:
        """Put the variants of days in the place of the days, in every view.

        Args:
            excluded: what ``clean.find_blamed`` found.
        """
        pairs = zip(excluded["dt"].to_pylist(), excluded["rule"].to_pylist(), strict=True)
        variants = variants_of(pairs)
        show_variants(self._session, excluded, variants)
        views = needed_views(self._metrics)
        readers = _readers(self._metrics, views)
        held: dict[str, DataFrame] = {}
        for kind in EVENT_KINDS:
            columns = {name: name for name in read_fields(kind, self._metrics)}
            raw_view = f"raw_{kind.table}"
            held[raw_view] = self._session.sql(select_blamed(raw_view, columns))
            if kind.table in {view.name for view in views}:
                blamed = self._session.sql(select_blamed(kind.table, columns))
                beside = self._session.sql(select_witnesses(kind.table, columns))
                held[kind.table] = blamed.union(beside)
        for name, rows in held.items():
            self._show(name, rows, readers[name])
        labels = ", ".join(f"('{variant.label}')" for variant in variants)
        self._session.sql(f"VALUES {labels} AS t(dt)").createOrReplaceTempView(DAYS_VIEW)
        self._show_views_over_events()
        return variants

    def _show_views_over_events(self) -> None:
        views = needed_views(self._metrics)
        readers = _readers(self._metrics, views)
        for view in views:
            if view.name not in self._raw:
                self._show(view.name, self._session.sql(as_spark(view.sql)), readers[view.name])

    def _rows(self, kind: EventKind, columns: Sequence[str]) -> DataFrame:
        """The rows of the days: some columns, and what tells of their arrival."""
        ingestion = [field.name for field in INGESTION_FIELDS]
        return self._raw[kind.table].where(f.col("dt").isin(self._dts)).select(*columns, *ingestion)

    def _show(self, name: str, rows: DataFrame, readers: int) -> None:
        if readers > 1:
            # Not `persist`: each task would be sent the plans of all that lies below.
            rows = rows.localCheckpoint()
            self._held.append(rows)
        rows.createOrReplaceTempView(name)


def _readers(metrics: Sequence[Metric], views: Sequence[EngineView]) -> Counter[str]:
    """How many metrics and views read each name."""
    reads = [*(metric.reads for metric in metrics), *(view.reads for view in views)]
    return Counter(name for names in reads for name in names)
