"""What of a day's metrics must add up, added up by the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import Connection

from clickstream_guardian.store.driver import driver_connection

Number = int | Decimal

_TOTALS: Mapping[str, LiteralString] = {
    "daily_metrics": (
        "max(source_rows) AS source_rows, max(total_clicks) AS total_clicks, "
        "max(total_purchases) AS total_purchases, max(total_revenue) AS total_revenue, "
        "max(unique_items) AS unique_items, max(buying_sessions) AS buying_sessions"
    ),
    "item_daily": (
        "sum(clicks) AS clicks, sum(purchases) AS purchases, sum(revenue) AS revenue, "
        "count(*) FILTER (WHERE clicks > 0) AS clicked_items"
    ),
    "popular_categories": (
        "sum(clicks) AS clicks, sum(purchases) AS purchases, sum(revenue) AS revenue"
    ),
    "session_funnel": (
        "sum(sessions) FILTER (WHERE step IN ('PURCHASE', 'DIRECT_PURCHASE')) AS buyers"
    ),
}
"""The totals of each table, by day."""

MUST_EQUAL = {
    ("item_daily", "clicks"): "total_clicks",
    ("item_daily", "purchases"): "total_purchases",
    ("item_daily", "revenue"): "total_revenue",
    ("item_daily", "clicked_items"): "unique_items",
    ("popular_categories", "clicks"): "total_clicks",
    ("popular_categories", "purchases"): "total_purchases",
    ("popular_categories", "revenue"): "total_revenue",
    ("session_funnel", "buyers"): "buying_sessions",
}
"""A table's total, and the number of ``daily_metrics`` that it must equal."""


@dataclass(frozen=True)
class DaySums:
    """The totals of one day's rows, by table and name; 0 where nothing is stored."""

    totals: Mapping[str, Mapping[str, Number]]

    def of(self, table: str, name: str) -> Number:
        """One total."""
        return self.totals.get(table, {}).get(name) or 0


def sum_days(connection: Connection, days: Sequence[date]) -> dict[date, DaySums]:
    """The sums of each of these days."""
    found = {table: _totals(connection, table, days) for table in _TOTALS}
    return {
        day: DaySums({table: by_day.get(day, {}) for table, by_day in found.items()})
        for day in days
    }


def _totals(connection: Connection, table: str, days: Sequence[date]) -> dict[date, dict[str, Any]]:
    statement = sql.SQL("SELECT dt, {} FROM {} WHERE dt = ANY(%s) GROUP BY dt").format(
        sql.SQL(_TOTALS[table]), sql.Identifier(table)
    )
    with driver_connection(connection).cursor(row_factory=dict_row) as cursor:
        cursor.execute(statement, (list(days),))
        return {row["dt"]: row for row in cursor}
