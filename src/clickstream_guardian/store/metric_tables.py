"""The metric tables, made of the metrics' row shapes; ratios are columns the database divides."""

from __future__ import annotations

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

from clickstream_guardian.metrics.loader import load_metrics
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
    return {metric.name: make_metric_table(metric, metadata) for metric in load_metrics()}


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
