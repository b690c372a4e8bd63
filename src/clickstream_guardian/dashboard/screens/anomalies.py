"""Who was found abusive: filters in the address, a timeline, the rules, a table to open one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from clickstream_guardian.dashboard import charts, links, pieces, tables, views, words
from clickstream_guardian.dashboard.client import Client
from clickstream_guardian.dashboard.states import nothing_yet

PAGE_ROWS = 200
FILE_PAGE_ROWS = 1_000
FILE_PAGES = 100
"""A file holds at most 100,000 anomalies."""
ALL = "All"


@dataclass(frozen=True)
class Period:
    """A span up to the newest event, and the timeline's bucket for it."""

    hours: int
    bucket: str


PERIODS = {
    "1 h": Period(1, "1m"),
    "6 h": Period(6, "5m"),
    "24 h": Period(24, "15m"),
    "7 d": Period(168, "1h"),
    "30 d": Period(720, "6h"),
    ALL: Period(8784, "1d"),
}


@dataclass(frozen=True)
class Filters:
    """What the person asks for."""

    rule: str | None
    severity: str | None
    session_id: str | None
    status: str | None
    period: Period
    since: datetime | None

    @property
    def query(self) -> dict[str, Any]:
        """The same as the API's filters."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "session_id": self.session_id,
            "status": self.status,
            "since": self.since,
        }


def draw(api: Client) -> None:
    """Draw the page."""
    types, fresh = api.anomaly_types(), api.freshness()
    subtitle = "Sessions that a rule found abusive, newest first"
    if not types.anomaly_count and fresh.newest_event_at is None:
        st.html(pieces.head("Anomalies", subtitle))
        nothing_yet("anomalies")
        return
    total = words.plural(types.anomaly_count, "anomaly", "anomalies")
    st.html(pieces.head("Anomalies", subtitle, [pieces.chip("In all", total)]))
    shown = st.session_state.get("shown_sessions", [])
    filters = _ask(types, fresh.newest_event_at)
    st.session_state["anomaly_query"] = st.query_params.to_dict()
    timeline = api.timeline(filters.period.hours, filters.period.bucket)
    rows, more = _rows(api, filters, st.session_state.get("anomaly_pages", 1))
    left, right = st.columns([2.2, 1], gap="small")
    with left, st.container(key="card-timeline", height="stretch"):
        _timeline(timeline, filters)
    with right, st.container(key="card-rules", height="stretch"):
        _types(types)
    with st.container(key="card-table"):
        _table(api, rows, more, filters, shown)


def _ask(types: views.AnomalyTypes, newest: datetime | None) -> Filters:
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.segmented_control(
            "Period",
            list(PERIODS),
            default="24 h",
            required=True,
            key="period",
            bind="query-params",
        )
        rules = sorted(one.rule for one in types.types)
        rule = st.selectbox(
            "Rule",
            rules,
            index=None,
            placeholder="All rules",
            key="rule",
            bind="query-params",
            width=175,
        )
        severity = st.selectbox(
            "Severity",
            pieces.SEVERITIES,
            index=None,
            placeholder="All severities",
            key="severity",
            bind="query-params",
            width=150,
        )
        status = st.selectbox(
            "Status",
            ("open", "final", "withdrawn"),
            index=None,
            placeholder="Open and final",
            key="status",
            bind="query-params",
            width=150,
        )
        session_id = st.text_input(
            "Session", placeholder="Any session", key="session_id", bind="query-params", width=150
        )
    period = PERIODS[name or "24 h"]
    since = None
    if newest is not None and name != ALL:
        since = newest - timedelta(hours=period.hours)
    return Filters(rule, severity, session_id or None, status, period, since)


def _rows(
    api: Client, filters: Filters, pages: int, page_rows: int = PAGE_ROWS
) -> tuple[list[views.Anomaly], bool]:
    found: list[views.Anomaly] = []
    cursor: str | None = None
    for _ in range(pages):
        page = api.anomalies(**filters.query, limit=page_rows, cursor=cursor)
        found += page.anomalies
        cursor = page.next_cursor
        if cursor is None:
            break
    return found, cursor is not None


def _timeline(found: views.Timeline, filters: Filters) -> None:
    if filters.rule:
        chosen = tuple(one for one in found.series if one.rule == filters.rule)
        found = found.model_copy(update={"series": chosen})
    total = sum(sum(one.counts) for one in found.series)
    note = "all sessions and severities" if filters.severity or filters.session_id else "UTC"
    st.html(pieces.title(f"{words.plural(total, 'anomaly', 'anomalies')} over time", note))
    if total:
        st.altair_chart(charts.timeline(found, 210), alt="Anomalies per bucket and rule")
    else:
        st.html(pieces.nothing("No anomaly in this period: choose a longer one."))


def _types(types: views.AnomalyTypes) -> None:
    st.html(pieces.title("By rule", "all time"))
    st.html(
        pieces.bars(
            pieces.Bar(
                one.rule,
                f"{words.count(one.anomaly_count)} · {words.plural(one.session_count, 'session')}",
                float(one.share_ratio),
                note=words.span(one.first_at, one.last_at),
            )
            for one in types.types
        )
        if types.types
        else pieces.nothing("No rule has found anything.")
    )


def _table(
    api: Client,
    rows: list[views.Anomaly],
    more: bool,
    filters: Filters,
    shown: list[tuple[str, str]],
) -> None:
    count = f"{len(rows):,}{'+' if more else ''} rows"
    tables.head(
        ("Anomalies", f"{count} · click a row to open its session"),
        lambda: [row(one) for one in _rows(api, filters, FILE_PAGES, FILE_PAGE_ROWS)[0]],
        "anomalies.csv",
        key="anomalies-csv",
        note=f"All that fit the filters; at most {FILE_PAGES * FILE_PAGE_ROWS:,}.",
    )
    if not rows:
        st.html(pieces.nothing("No anomaly fits these filters."))
        return
    event = st.dataframe(
        tables.columns_of([row(one) for one in rows]),
        hide_index=True,
        column_config=COLUMNS,
        key="anomalies",
        height=430,
        on_select="rerun",
        selection_mode="single-cell",
    )
    st.session_state["shown_sessions"] = [(one.session_id, one.anomaly_id) for one in rows]
    cells = event.selection.cells
    if cells and cells[0][0] < len(shown):
        session_id, anomaly_id = shown[cells[0][0]]
        links.go("session", {"id": session_id, "anomaly": anomaly_id})
    if more and st.button("Show more", key="more"):
        st.session_state["anomaly_pages"] = st.session_state.get("anomaly_pages", 1) + 1
        st.rerun(scope="fragment")


def row(one: views.Anomaly) -> dict[str, Any]:
    """An anomaly as a row of the table and of the CSV file."""
    return {
        "window_start": one.window_start,
        "severity": [one.severity],
        "rule": one.rule,
        "session_id": one.session_id,
        "explanation": one.explanation,
        "events": one.event_count,
        "status": one.status,
        "window_end": one.window_end,
        "anomaly_id": one.anomaly_id,
    }


COLUMNS: dict[str, Any] = {
    "window_start": tables.instant("Window start"),
    "severity": tables.severity(),
    "rule": tables.text("Rule"),
    "session_id": tables.text("Session"),
    "explanation": tables.text("Why", "large"),
    "events": tables.number("Events", 80),
    "status": tables.text("Status", 80),
    "window_end": None,
    "anomaly_id": None,
}
