"""Queries over items and categories: the day's leading ones, and what is trending."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from clickstream_guardian.store.read import Query
from clickstream_guardian.store.read_clean import View, leading_clean, most_changed, relation
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


def popular_in(view: View, dt: date, by: str, limit: int) -> Query:
    """The same by clean numbers, or by how much they change: see ``read_clean``."""
    rows = leading_clean(by) if view == "clean" else most_changed(by)
    return _of_day(rows, {"dt": dt, "limit": limit})


def categories(dt: date, by: str, limit: int, view: View = "raw") -> Query:
    """The day's categories: one row ``(computed, is_past, json, count)``, equal ones by name.

    Those that change most come first among changes.
    """
    order = f"abs(c.{by})" if view == "delta" else f"c.{by}"
    return _of_day(
        f"""
        SELECT category, clicks, sessions, purchases, revenue::text AS revenue
        FROM {relation("popular_categories", view)} AS c WHERE dt = %(dt)s
        ORDER BY {order} DESC, category COLLATE "C" LIMIT %(limit)s
        """,
        {"dt": dt, "limit": limit},
    )


def count_of_categories(dt: date, view: View = "raw") -> Query:
    """How many categories a day has: one row ``(count,)``."""
    shown = relation("popular_categories", view)
    return Query(f"SELECT count(*) FROM {shown} AS c WHERE dt = %(dt)s", {"dt": dt})


def _of_day(rows: str, values: Mapping[str, object]) -> Query:
    """Rows of a day as one JSON list, with whether the day is computed and past."""
    return Query(
        f"SELECT {COMPUTED}, {PAST}, coalesce(json_agg(found), '[]')::text, count(*) "
        f"FROM ({rows}) AS found",
        values,
    )


BASELINE_DAYS = 7

_TOTALS = f"""
    day AS MATERIALIZED (
        SELECT dt, total_clicks AS clicks FROM daily_metrics
        WHERE dt = coalesce(%(dt)s, (SELECT max(dt) FROM daily_metrics))
    ),
    before AS MATERIALIZED (
        SELECT coalesce(sum(m.total_clicks), 0)::bigint AS clicks, count(*) AS days
        FROM day, daily_metrics AS m WHERE m.dt >= day.dt - {BASELINE_DAYS} AND m.dt < day.dt
    )
"""
"""SQL: the day, and the computed days among the 7 before it, with their clicks on all items."""

_CHANGE = "l.clicks * before.clicks::numeric - l.clicks_before * day.clicks::numeric"
"""SQL: the change of share times both totals, a whole number, so that nothing is rounded."""

_RISERS = f"""
    SELECT day.dt, day.clicks, before.clicks, looked.count, looked.least_clicks, coalesce((
        SELECT json_agg(json_build_array(item_id, clicks, clicks_before))
        FROM (
            SELECT l.* FROM looked_at AS l WHERE {_CHANGE} > 0
            ORDER BY {_CHANGE} DESC, l.item_id COLLATE "C" LIMIT %(limit)s
        ) AS risers
    ), '[]')
    FROM day, before, (
        SELECT count(*), coalesce(min(clicks), 0) AS least_clicks FROM looked_at
    ) AS looked
"""


def rising(dt: date | None, limit: int, offset: int, count: int) -> Query:
    """Of ``count`` items of many clicks, most clicked first, those that rose most.

    One row ``(dt, clicks, clicks_before, count, least_clicks, [[item_id, clicks, clicks_before],
    ...])``: the day (the newest where None is given) and the clicks of it and of the days before on
    all items; how many items were looked at, the clicks of the last of them, and at most ``limit``
    risers. No row where the day is not computed. Of an item with many clicks on each of the days
    before, which is most of them, the index holds the whole history.
    """
    return Query(
        f"""
        WITH {_TOTALS},
        looked_at AS MATERIALIZED (
            SELECT top.item_id, top.clicks,
                   CASE WHEN many.days = (SELECT days FROM before) THEN coalesce(many.clicks, 0)
                   ELSE (
                       SELECT coalesce(sum(b.clicks), 0) FROM item_daily AS b
                       WHERE b.dt = ANY(ARRAY(
                                 SELECT dt - n FROM day, generate_series(1, {BASELINE_DAYS}) AS n
                             )) AND b.item_id = top.item_id
                   ) END::bigint AS clicks_before
            FROM (
                SELECT item_id, clicks FROM item_daily
                WHERE dt = (SELECT dt FROM day) AND clicks >= {MANY_CLICKS}
                ORDER BY clicks DESC, item_id COLLATE "C" LIMIT %(count)s OFFSET %(offset)s
            ) AS top, LATERAL (
                SELECT count(*) AS days, sum(b.clicks) AS clicks FROM item_daily AS b
                WHERE b.item_id = top.item_id AND b.clicks >= {MANY_CLICKS}
                  AND b.dt >= (SELECT dt - {BASELINE_DAYS} FROM day)
                  AND b.dt < (SELECT dt FROM day)
            ) AS many
        )
        {_RISERS}
        """,
        {"dt": dt, "limit": limit, "offset": offset, "count": count},
    )


def rising_in_tail(dt: date, limit: int) -> Query:
    """The same of all items with few clicks."""
    return Query(
        f"""
        WITH {_TOTALS},
        looked_at AS MATERIALIZED (
            SELECT top.item_id, top.clicks, coalesce(b.clicks, 0)::bigint AS clicks_before
            FROM item_daily AS top LEFT JOIN (
                SELECT item_id, sum(clicks) AS clicks FROM item_daily
                WHERE dt >= %(dt)s::date - {BASELINE_DAYS} AND dt < %(dt)s GROUP BY item_id
            ) AS b USING (item_id)
            WHERE top.dt = %(dt)s AND top.clicks < {MANY_CLICKS}
        )
        {_RISERS}
        """,
        {"dt": dt, "limit": limit},
    )
