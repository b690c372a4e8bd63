"""Days whose numbers have changed since they were first told: what they were, and why."""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from clickstream_guardian.dashboard import tables, views, words
from clickstream_guardian.dashboard.client import Client

REASONS = {
    "events": "rows came in",
    "allow_list": "let through",
    "rule_version": "new version of a rule",
    "verdicts": "verdicts changed",
}


def card(api: Client, start: date, end: date) -> None:
    """The newest changes of days in a range (inclusive); nothing where there are none."""
    found = api.restatements(start, end)
    if not found:
        return
    with st.container(key="card-restated"):
        heading = (
            "Restated",
            f"{words.plural(len(found), 'change')}, numbers as they were before",
        )
        name = f"restatements-{start}-{end}.csv"
        tables.table(heading, [row(one) for one in found], name, COLUMNS, key="restated")


def row(one: views.Restatement) -> dict[str, Any]:
    """A restatement as a row of the table and of the CSV file."""
    return {
        "dt": one.dt,
        "restated_at": one.restated_at,
        "reasons": [REASONS.get(reason, reason) for reason in one.reasons],
        "sessions": one.raw.unique_sessions,
        "sessions_clean": one.clean.unique_sessions,
        "clicks": one.raw.total_clicks,
        "clicks_clean": one.clean.total_clicks,
    }


COLUMNS: dict[str, Any] = {
    "dt": st.column_config.DateColumn("Day (UTC)", format="ddd YYYY-MM-DD", width=120),
    "restated_at": tables.instant("Changed"),
    "reasons": st.column_config.ListColumn("Why", width=200),
    "sessions": tables.number("Sessions"),
    "sessions_clean": tables.number("… without abuse"),
    "clicks": tables.number("Clicks"),
    "clicks_clean": tables.number("… without abuse"),
}
