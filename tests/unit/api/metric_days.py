"""Days of metrics to serve."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import text

from clickstream_guardian.store import Store

DAY = date(2014, 4, 7)
Items = Mapping[str, tuple[int, int, str]]
"""Clicks, purchases and revenue by item."""


def write_day(store: Store, dt: date, items: Items) -> None:
    """A day of these items, with the totals that follow from them."""
    clicks = sum(one[0] for one in items.values())
    purchases = sum(one[1] for one in items.values())
    values = {"dt": dt, "clicks": clicks, "purchases": purchases, "items": len(items)}
    with store.begin() as connection:
        for statement in (_METRICS, *_FUNNEL):
            connection.execute(text(statement), values)
        for item_id, (clicks, purchases, revenue) in items.items():
            connection.execute(
                text("INSERT INTO item_daily VALUES (:dt, :item, :clicks, 1, :bought, :revenue)"),
                {
                    **{"dt": dt, "item": item_id, "clicks": clicks},
                    **{"bought": purchases, "revenue": revenue},
                },
            )


def write_days(store: Store, days: Sequence[Items], last: date = DAY) -> None:
    """Days that follow each other and end with ``last``."""
    for before, items in enumerate(reversed(days)):
        write_day(store, last - timedelta(days=before), items)


def write_category(store: Store, dt: date, category: str, clicks: int, revenue: str) -> None:
    with store.begin() as connection:
        connection.execute(
            text("INSERT INTO popular_categories VALUES (:dt, :category, :clicks, 1, 1, :revenue)"),
            {"dt": dt, "category": category, "clicks": clicks, "revenue": revenue},
        )


def write_delta(store: Store, dt: date, rule: str, clicks: int, item_id: str) -> None:
    """One session blamed on a rule takes its clicks, all on one item, with it."""
    values = {"dt": dt, "rule": rule, "clicks": clicks, "item": item_id}
    with store.begin() as connection:
        for statement in _DELTAS:
            connection.execute(text(statement), values)


def restate(store: Store, dt: date, *reasons: str) -> None:
    """Keep a day's numbers as they stand as what they were before a change."""
    with store.begin() as connection:
        connection.execute(text(_RESTATE), {"dt": dt, "reasons": json.dumps(reasons)})


_RESTATE = """
    INSERT INTO restatements (dt, reasons, raw, clean)
    SELECT dt, CAST(:reasons AS jsonb), to_jsonb(raw), to_jsonb(clean)
    FROM daily_metrics AS raw JOIN daily_metrics_clean AS clean USING (dt) WHERE dt = :dt
"""
_DELTAS = (
    "INSERT INTO daily_metrics_delta VALUES "
    "(:dt, :rule, :clicks, 0, -1, 0, 0, 0, 0, 0, -4000, :clicks)",
    "INSERT INTO session_funnel_delta VALUES (:dt, :rule, 'VIEW', 0, -1, -1, 0, 0), "
    "(:dt, :rule, 'MULTI_VIEW', 0, -1, -1, -1, 0)",
    "INSERT INTO item_daily_delta VALUES (:dt, :rule, :item, :clicks, -1, 0, 0)",
    "INSERT INTO popular_categories_delta VALUES (:dt, :rule, 'S', -1, -1, 0, 0)",
)
_METRICS = """
    INSERT INTO daily_metrics (dt, total_clicks, total_purchases, unique_sessions, unique_items,
        buying_sessions, priced_purchases, priced_sessions, total_revenue, total_duration_ms,
        source_rows)
    VALUES (:dt, :clicks, :purchases, 3, :items, 1, 1, 1, 20.90, 10000, :clicks + :purchases + 2)
"""
_STEPS = (("VIEW", 3, 3, 0, 0), ("MULTI_VIEW", 2, 3, 3, 1), ("PURCHASE", 0, 3, 2, 2))
_FUNNEL = tuple(
    "INSERT INTO session_funnel (dt, step, step_number, sessions, first_sessions, "
    "previous_sessions, lost_sessions) "
    f"VALUES (:dt, '{step}', {number}, {sessions}, {first}, {before}, {lost})"
    for number, (step, sessions, first, before, lost) in enumerate(
        (*_STEPS, ("DIRECT_PURCHASE", 1, 0, 0, 0)), 1
    )
)
