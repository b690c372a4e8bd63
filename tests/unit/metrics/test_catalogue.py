"""The catalogue's SQL: portable, true to its header, and right where rows tie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pytest
import sqlglot
from sqlalchemy import make_url
from sqlglot import exp

from clickstream_guardian.metrics.loader import (
    load_engine_views,
    load_metrics,
    load_serving_views,
)
from clickstream_guardian.metrics.model import EngineView, Metric
from tests.parity.metrics_oracle import Row, popular_items

ITEMS = [*load_metrics(), *load_engine_views()]
named = pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)


def tables_read(sql: str) -> set[str]:
    tree = sqlglot.parse_one(sql, read="duckdb")
    inner = {cte.alias for cte in tree.find_all(exp.CTE)}
    return {table.name for table in tree.find_all(exp.Table)} - inner


@named
def test_header_names_what_the_sql_reads(item: Metric | EngineView) -> None:
    assert tables_read(item.sql) - {"days"} == set(item.reads)


@pytest.mark.parametrize("metric", load_metrics(), ids=lambda metric: metric.name)
def test_sql_returns_the_columns_of_the_header(metric: Metric) -> None:
    tree = sqlglot.parse_one(metric.sql, read="duckdb")
    assert tuple(tree.named_selects) == metric.column_names


@named
def test_sql_can_be_written_for_spark(item: Metric | EngineView) -> None:
    (spark,) = sqlglot.transpile(
        item.sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    assert sqlglot.parse_one(spark, read="spark")


@named
def test_sql_uses_only_functions_that_both_engines_have(item: Metric | EngineView) -> None:
    tree = sqlglot.parse_one(item.sql, read="duckdb")
    unknown = {function.name.upper() for function in tree.find_all(exp.Anonymous)}
    assert unknown <= {"UNIX_MILLIS"}


def item_daily_rows() -> Iterator[Row]:
    """120 items on each of two days; many tie, and the order of bytes is not that of a language."""
    for dt in ("2014-04-07", "2014-04-08"):
        for number in range(120):
            letter = ("a", "B", "ä", "Z", "_")[number % 5]
            yield {
                "dt": dt,
                "item_id": f"{letter}{number:03}",
                "clicks": 1 + number // 30,
                "sessions": 1,
                "purchases": number % 3,
                "revenue": Decimal(number % 2) / 2,
            }


def load_and_rank(execute: Callable[..., Any], fetch: Callable[[], list[Any]]) -> list[Row]:
    (view,) = load_serving_views()
    execute(
        "CREATE TEMP TABLE item_daily (dt date, item_id text, clicks bigint, sessions bigint, "
        "purchases bigint, revenue numeric(38, 2))"
    )
    for row in item_daily_rows():
        values = ", ".join(
            f"'{value}'" if isinstance(value, str) else str(value) for value in row.values()
        )
        execute(f"INSERT INTO item_daily VALUES ({values})")
    names = [column.name for column in view.columns]
    columns = ", ".join(names).replace("dt", "CAST(dt AS text) AS dt", 1)
    execute(f"SELECT {columns} FROM ({view.sql}) AS v ORDER BY dt, ranking, rank")
    return [dict(zip(names, row, strict=True)) for row in fetch()]


def test_popular_items_in_duckdb() -> None:
    with duckdb.connect() as connection:
        found = load_and_rank(connection.execute, lambda: connection.fetchall())
    assert found == popular_items(list(item_daily_rows()))
    assert len(found) == 2 * (100 + 80 + 60)


def test_popular_items_in_postgresql(store_url: str) -> None:
    url = make_url(store_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        cursor = connection.cursor()
        found = load_and_rank(cursor.execute, cursor.fetchall)
    assert found == popular_items(list(item_daily_rows()))
