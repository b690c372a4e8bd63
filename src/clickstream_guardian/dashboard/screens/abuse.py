"""Raw or clean: the switch that pages share, and what leaves a day with abuse, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import streamlit as st

from clickstream_guardian.dashboard import pieces, tables, views, words
from clickstream_guardian.dashboard.client import Client

VIEWS = {"raw": "All sessions", "clean": "Without abuse"}
NONE_FOUND = "No session of this day is judged abusive: both numbers are the same."


def choose_view() -> str:
    """Draw the switch; ``raw`` at first."""
    chosen: str | None = st.segmented_control(
        "Counted",
        list(VIEWS),
        default="raw",
        required=True,
        format_func=VIEWS.__getitem__,
        key="view",
        bind="query-params",
    )
    return chosen or "raw"


def day_card(api: Client, dt: date) -> None:
    """How a day's numbers change without abuse, by the rules that found it."""
    found = api.day_delta(dt)
    with st.container(key="card-abuse"):
        st.html(pieces.title("What leaves with abuse", f"{words.day(dt)}, rule after rule"))
        if found is None or not found.by_rule:
            st.html(pieces.nothing(NONE_FOUND))
            return
        _table(day_rows(found), DAY_COLUMNS)


def funnel_card(found: views.FunnelDelta | None, names: Mapping[str, str]) -> None:
    """How a day's steps change without abuse, by the rules that found it."""
    with st.container(key="card-abuse"):
        st.html(pieces.title("What leaves with abuse", "sessions per step, rule after rule"))
        if found is None or not found.by_rule:
            st.html(pieces.nothing(NONE_FOUND))
            return
        steps = {**names, "DIRECT_PURCHASE": "Direct purchase"}
        columns = {"rule": tables.text("Rule")}
        columns |= {step: tables.number(name) for step, name in steps.items()}
        _table(funnel_rows(found, list(steps)), columns)


def items_card(found: views.ItemsDelta | None) -> None:
    """The items that abuse lifts most, and which rules found it."""
    with st.container(key="card-abuse"):
        items = found.items if found else ()
        st.html(pieces.title("Lifted by abuse", f"the {len(items)} items that lose most"))
        if not items:
            st.html(pieces.nothing("Leaving out abuse changes no item of this day."))
            return
        rows = [
            {
                "item_id": one.item_id,
                "clicks": one.clicks,
                "sessions": one.sessions,
                "purchases": one.purchases,
                "revenue": float(one.revenue),
                "rules": [part.rule for part in one.by_rule],
            }
            for one in items
        ]
        _table(rows, ITEM_COLUMNS)


def day_rows(found: views.DayDelta) -> list[dict[str, Any]]:
    """A row per rule and one for all of them: the change, clean minus raw."""
    rows = [{"rule": part.rule, **_numbers(part)} for part in found.by_rule]
    return [*rows, {"rule": "All", **_numbers(found)}]


def funnel_rows(found: views.FunnelDelta, steps: Sequence[str]) -> list[dict[str, Any]]:
    """A row per rule and one for all of them: the change in sessions per step."""
    rows = [
        {"rule": part.rule, **{step: part.steps.get(step, 0) for step in steps}}
        for part in found.by_rule
    ]
    return [*rows, {"rule": "All", **{step: sum(row[step] for row in rows) for step in steps}}]


def _numbers(change: views.DayChange) -> dict[str, Any]:
    rate = change.conversion_rate
    return {
        "sessions": change.unique_sessions,
        "clicks": change.total_clicks,
        "purchases": change.total_purchases,
        "revenue": float(change.total_revenue),
        "conversion_points": None if rate is None else float(rate) * 100,
    }


def _table(rows: list[dict[str, Any]], columns: Mapping[str, Any]) -> None:
    st.dataframe(
        tables.columns_of(rows),
        hide_index=True,
        column_config=dict(columns),
        key="abuse",
        height=tables.table_height(len(rows), 10),
        placeholder="–",
    )


_NUMBERS: dict[str, Any] = {
    "sessions": tables.number("Sessions"),
    "clicks": tables.number("Clicks"),
    "purchases": tables.number("Purchases"),
    "revenue": tables.change("Revenue"),
}
DAY_COLUMNS: dict[str, Any] = {
    "rule": tables.text("Rule"),
    **_NUMBERS,
    "conversion_points": st.column_config.NumberColumn("Conversion (points)", format="%+.3f"),
}
ITEM_COLUMNS: dict[str, Any] = {
    "item_id": tables.text("Item"),
    **_NUMBERS,
    "rules": st.column_config.ListColumn("Found by"),
}
