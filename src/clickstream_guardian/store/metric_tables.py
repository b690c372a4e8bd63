"""The metric tables, made of the metrics' row shapes; ratios are columns the database divides."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    Date,
    Index,
    MetaData,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

from clickstream_guardian.metrics.clean import delta_columns, number_columns
from clickstream_guardian.metrics.loader import load_metrics, load_serving_views
from clickstream_guardian.metrics.model import ColumnType, Metric
from clickstream_guardian.store.tables import metadata

_TYPES: dict[ColumnType, TypeEngine[Any]] = {
    ColumnType.DAY: Date(),
    ColumnType.TEXT: Text(),
    ColumnType.COUNT: BigInteger(),
    ColumnType.MONEY: Numeric(38, 2),
}


@cache
def metric_tables() -> dict[str, Table]:
    """The tables of all metrics by name, added to ``tables.metadata`` at the first call."""
    for metric in load_metrics():
        make_delta_table(metric, metadata)
    return {metric.name: make_metric_table(metric, metadata) for metric in load_metrics()}


def clean_views() -> dict[str, str]:
    """The SELECTs of the views of clean numbers by name: of each metric, then of what reads them.

    A serving view over metrics has a twin over their clean views.
    """
    views = {f"{metric.name}_clean": select_clean(metric) for metric in load_metrics()}
    for view in load_serving_views():
        sql = view.sql
        for name in view.reads:
            sql = re.sub(rf"\b{name}\b", f"{name}_clean", sql)
        views[f"{view.name}_clean"] = sql
    return views


def make_metric_table(metric: Metric, into: MetaData) -> Table:
    """The table of one metric: its columns, then its ratios."""
    columns = [
        Column(
            column.name,
            _TYPES[column.type],
            primary_key=column.name in metric.key,
            autoincrement=False,
            nullable=False,
        )
        for column in metric.columns
    ]
    ratios = [
        Column(ratio.name, Numeric(), Computed(ratio.expression, persisted=True))
        for ratio in metric.ratios
    ]
    return Table(metric.name, into, *columns, *ratios, *_indexes(metric.name))


def make_delta_table(metric: Metric, into: MetaData) -> Table:
    """The table of what each rule's blamed sessions take off a metric's numbers."""
    types = {column.name: _TYPES[column.type] for column in metric.columns} | {"rule": Text()}
    key = ("dt", "rule", *metric.key[1:])
    columns = [
        Column(name, types[name], primary_key=name in key, autoincrement=False, nullable=False)
        for name in delta_columns(metric)
    ]
    return Table(f"{metric.name}_delta", into, *columns)


def select_clean(metric: Metric) -> str:
    """The SELECT of the view ``<metric>_clean``: raw plus all deltas, in the metric's own shape.

    An entry of a day (an item, say) of which nothing is left has no row, as if it were computed
    without the excluded sessions.
    """
    key, numbers = metric.key, number_columns(metric)
    sums = ", ".join(f"sum({name})::{_sql_type(metric, name)} AS {name}" for name in numbers)
    added = ", ".join(
        f"(m.{name} + coalesce(d.{name}, 0))::{_sql_type(metric, name)} AS {name}"
        for name in numbers
    )
    ratios = "".join(f", {ratio.expression} AS {ratio.name}" for ratio in metric.ratios)
    left = " OR ".join(f"{name} <> 0" for name in numbers)
    return (
        f"SELECT {', '.join((*key, *numbers))}{ratios} FROM ("
        f"SELECT {', '.join(f'm.{name}' for name in key)}, {added} FROM {metric.name} AS m "
        f"LEFT JOIN (SELECT {', '.join(key)}, {sums} FROM {metric.name}_delta "
        f"GROUP BY {', '.join(key)}) AS d USING ({', '.join(key)})) AS clean"
        + (f" WHERE {left}" if len(key) > 1 else "")
    )


def _sql_type(metric: Metric, name: str) -> str:
    """The type in which a sum is kept."""
    kind = next(column.type for column in metric.columns if column.name == name)
    return "numeric(38, 2)" if kind is ColumnType.MONEY else "bigint"


def _indexes(table: str) -> list[Index]:
    """Indexes beside the key: rankings and histories in ``item_daily``, without its long tail."""
    if table != "item_daily":
        return []
    history = Index(
        "item_daily_by_item",
        "item_id",
        "dt",
        postgresql_include=["clicks"],
        postgresql_where=text("clicks >= 20"),
    )
    rankings = [
        Index(
            f"item_daily_by_{ranking}",
            "dt",
            text(f"{ranking} DESC"),
            postgresql_where=text(f"{ranking} {ranked}"),
        )
        for ranking, ranked in (("clicks", ">= 20"), ("purchases", "> 0"), ("revenue", "> 0"))
    ]
    return [history, *rankings]
