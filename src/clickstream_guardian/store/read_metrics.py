"""Queries over the daily metrics and the funnel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache

from clickstream_guardian.metrics.loader import load_metrics
from clickstream_guardian.metrics.model import ColumnType
from clickstream_guardian.store.read import Query, ratio
from clickstream_guardian.store.read_clean import View, relation

COMPUTED = "EXISTS (SELECT FROM daily_metrics WHERE dt = %(dt)s)"
"""SQL: whether the day ``dt`` is computed."""

PAST = "EXISTS (SELECT FROM daily_metrics WHERE dt > %(dt)s)"
"""SQL: whether a later day than ``dt`` is computed, so that ``dt`` no longer grows by itself."""


def days(start: date | None, end: date | None, limit: int, view: View = "raw") -> Query:
    """Computed days of a range (inclusive), newest first: rows ``(json,)``."""
    return Query(
        f"""
        SELECT row_to_json(found)::text FROM (
            SELECT {daily_fields()} FROM {_daily(view)} AS m
            WHERE {" AND ".join(within("m.dt", start, end))}
            ORDER BY m.dt DESC LIMIT %(limit)s
        ) AS found
        """,
        {"limit": limit, "start": start, "end": end},
    )


def within(column: str, start: date | None, end: date | None) -> list[str]:
    """Conditions on a day: from ``%(start)s`` to ``%(end)s``, where these are given."""
    bounds = ((start, f"{column} >= %(start)s"), (end, f"{column} <= %(end)s"))
    return ["true", *(condition for bound, condition in bounds if bound is not None)]


def day(dt: date, view: View = "raw") -> Query:
    """One day: at most one row ``(json, is_past)``."""
    return Query(
        f"""
        SELECT row_to_json(found)::text, {PAST}
        FROM (SELECT {daily_fields()} FROM {_daily(view)} AS m WHERE m.dt = %(dt)s) AS found
        """,
        {"dt": dt},
    )


def compared(view: View = "raw") -> Query:
    """The newest day, the one before and the one a week before: rows ``(json, days_before)``."""
    return Query(
        f"""
        WITH newest AS (SELECT max(dt) AS dt FROM daily_metrics)
        SELECT row_to_json(found)::text, before.days
        FROM newest, unnest(ARRAY[0, 1, 7]) AS before (days),
             LATERAL (
                 SELECT {daily_fields()} FROM {_daily(view)} AS m
                 WHERE m.dt = newest.dt - before.days
             ) AS found
        """
    )


def totals(days: int, view: View = "raw") -> Query:
    """Sums over the last days up to the newest: one row ``(json,)``."""
    return Query(
        f"""
        SELECT row_to_json(found)::text FROM (
            SELECT max(newest.dt) - %(days)s + 1 AS start_date, max(newest.dt) AS end_date,
                   count(*) AS day_count,
                   sum(m.total_clicks)::bigint AS total_clicks,
                   sum(m.total_purchases)::bigint AS total_purchases,
                   sum(m.unique_sessions)::bigint AS unique_sessions,
                   sum(m.buying_sessions)::bigint AS buying_sessions,
                   sum(m.total_revenue)::text AS total_revenue,
                   {_rate("buying_sessions", "unique_sessions", view)} AS conversion_rate,
                   {_rate("total_revenue", "priced_sessions", view)} AS avg_order_value
            FROM (SELECT max(dt) AS dt FROM daily_metrics) AS newest
            JOIN {_daily(view)} AS m ON m.dt > newest.dt - %(days)s AND m.dt <= newest.dt
            {"JOIN daily_metrics AS before ON before.dt = m.dt" if view == "delta" else ""}
        ) AS found
        WHERE found.day_count > 0
        """,
        {"days": days},
    )


def funnel(dt: date, view: View = "raw") -> Query:
    """The steps of a day in order: rows ``(json, step, sessions, is_past)``."""
    return Query(
        f"""
        SELECT row_to_json(found)::text, found.step, found.sessions, {PAST}
        FROM (
            SELECT f.step, f.sessions, {ratio("f.share_ratio")} AS share_ratio,
                   {ratio("f.drop_ratio")} AS drop_ratio
            FROM {relation("session_funnel", view)} AS f WHERE f.dt = %(dt)s
            ORDER BY array_position(ARRAY['VIEW', 'MULTI_VIEW', 'PURCHASE'], f.step)
        ) AS found
        """,
        {"dt": dt},
    )


def _daily(view: View) -> str:
    return relation("daily_metrics", view)


def _rate(top: str, bottom: str, view: View) -> str:
    """One sum divided by another; a change is the clean quotient minus the raw one."""
    found = f"sum(m.{top}) / nullif(sum(m.{bottom}), 0)"
    if view == "delta":
        raw = f"sum(before.{top}) / nullif(sum(before.{bottom}), 0)"
        found = (
            f"sum(before.{top} + m.{top}) / nullif(sum(before.{bottom} + m.{bottom}), 0) - {raw}"
        )
    return ratio(found)


@cache
def daily_fields() -> str:
    """The columns of ``daily_metrics`` as its metric has them; decimals as text."""
    metric = next(metric for metric in load_metrics() if metric.name == "daily_metrics")

    def written() -> Iterator[str]:
        for column in metric.columns:
            money = "::text" if column.type is ColumnType.MONEY else ""
            yield f"m.{column.name}{money} AS {column.name}"
        for one in metric.ratios:
            yield f"{ratio(f'm.{one.name}')} AS {one.name}"

    return ", ".join(written())
