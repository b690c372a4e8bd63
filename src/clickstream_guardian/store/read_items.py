"""Queries over items and categories: the day's leading ones, and what is trending."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from clickstream_guardian.store.read import Query
from clickstream_guardian.store.read_metrics import COMPUTED, PAST

RANKINGS = ("clicks", "purchases", "revenue")
MANY_CLICKS = 20
"""Items with as many clicks of a day are in the index ``item_daily_by_clicks``."""

_RANKED = {"clicks": f"clicks >= {MANY_CLICKS}", "purchases": "purchases > 0"}
_RANKED |= {"revenue": "revenue > 0"}


def popular(dt: date, by: str, limit: int, *, tail: bool = False) -> Query:
    """The day's leading items: one row ``(computed, is_past, json, count)``, equal ones by id.

    Args:
        dt: the day.
        by: one of ``RANKINGS``.
        limit: most items.
        tail: items with fewer than ``MANY_CLICKS`` too; only needed where the others are too few.
    """
    ranked = "clicks > 0" if tail and by == "clicks" else _RANKED[by]
    return _of_day(
        f"""
        SELECT row_number() OVER (ORDER BY {by} DESC, item_id COLLATE "C") AS rank,
               item_id, clicks, sessions, purchases, revenue::text AS revenue
        FROM (
            SELECT * FROM item_daily WHERE dt = %(dt)s AND {ranked}
            ORDER BY {by} DESC, item_id COLLATE "C" LIMIT %(limit)s
        ) AS leading_items
        ORDER BY rank
        """,
        {"dt": dt, "limit": limit},
    )


def categories(dt: date, by: str, limit: int) -> Query:
    """The day's categories: one row ``(computed, is_past, json, count)``, equal ones by name."""
    return _of_day(
        f"""
        SELECT category, clicks, sessions, purchases, revenue::text AS revenue
        FROM popular_categories AS c WHERE dt = %(dt)s
        ORDER BY c.{by} DESC, category COLLATE "C" LIMIT %(limit)s
        """,
        {"dt": dt, "limit": limit},
    )


def count_of_categories(dt: date) -> Query:
    """How many categories a day has: one row ``(count,)``."""
    return Query("SELECT count(*) FROM popular_categories WHERE dt = %(dt)s", {"dt": dt})


def _of_day(rows: str, values: Mapping[str, object]) -> Query:
    """Rows of a day as one JSON list, with whether the day is computed and past."""
    return Query(
        f"SELECT {COMPUTED}, {PAST}, coalesce(json_agg(found), '[]')::text, count(*) "
        f"FROM ({rows}) AS found",
        values,
    )


BASELINE_DAYS = 7
_BASELINE = f"ARRAY(SELECT %(dt)s::date - n FROM generate_series(1, {BASELINE_DAYS}) AS n)"


def trending_totals(dt: date) -> Query:
    """Clicks of a computed day and of the 7 before: at most one row ``(clicks, clicks_before)``."""
    return Query(
        f"""
        SELECT m.total_clicks,
               (SELECT coalesce(sum(b.total_clicks), 0)::bigint
                FROM daily_metrics AS b WHERE b.dt = ANY({_BASELINE}))
        FROM daily_metrics AS m WHERE m.dt = %(dt)s
        """,
        {"dt": dt},
    )


def most_clicked(dt: date, offset: int, limit: int) -> Query:
    """Items of many clicks with their clicks of the 7 days before, most clicked first.

    Rows ``(item_id, clicks, baseline_clicks)``; fewer than ``limit`` where they end.
    """
    return Query(
        f"""
        SELECT top.item_id, top.clicks, coalesce(before.clicks, 0)::bigint
        FROM (
            SELECT item_id, clicks FROM item_daily WHERE dt = %(dt)s AND clicks >= {MANY_CLICKS}
            ORDER BY clicks DESC, item_id COLLATE "C" LIMIT %(limit)s OFFSET %(offset)s
        ) AS top, LATERAL (
            SELECT sum(b.clicks) AS clicks FROM item_daily AS b
            WHERE b.dt = ANY({_BASELINE}) AND b.item_id = top.item_id
        ) AS before
        """,
        {"dt": dt, "limit": limit, "offset": offset},
    )


def trending_tail(dt: date, limit: int, clicks: int, clicks_before: int) -> Query:
    """Of the items with few clicks those that rose most; rows as of ``most_clicked``."""
    change = "top.clicks * %(before)s::numeric - coalesce(before.clicks, 0) * %(clicks)s::numeric"
    return Query(
        f"""
        SELECT top.item_id, top.clicks, coalesce(before.clicks, 0)::bigint
        FROM item_daily AS top LEFT JOIN (
            SELECT item_id, sum(clicks) AS clicks FROM item_daily
            WHERE dt >= %(dt)s::date - {BASELINE_DAYS} AND dt < %(dt)s GROUP BY item_id
        ) AS before USING (item_id)
        WHERE top.dt = %(dt)s AND top.clicks < {MANY_CLICKS} AND {change} > 0
        ORDER BY {change} DESC, top.item_id COLLATE "C" LIMIT %(limit)s
        """,
        {"dt": dt, "limit": limit, "clicks": clicks, "before": clicks_before},
    )
