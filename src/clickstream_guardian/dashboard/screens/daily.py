"""The business numbers over any range of days, and how a week goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import streamlit as st

from clickstream_guardian.dashboard import charts, pieces, tables, views, words
from clickstream_guardian.dashboard.client import Client
from clickstream_guardian.dashboard.screens import abuse, restated
from clickstream_guardian.dashboard.screens.days import is_running, none_computed

TITLE = "Daily metrics"
SUBTITLE = "The shop's numbers per UTC day, each event counted once"
RANGES = {"7 d": 7, "14 d": 14, "30 d": 30, "90 d": 90, "All": None, "Custom": None}
Points = list[tuple[datetime, float]]


@dataclass(frozen=True)
class Series:
    """A number per day that can be drawn."""

    name: str
    value: Callable[[views.Day], words.Number | None]
    number_format: str
    text: Callable[[words.Number | None], str]


def _whole(value: words.Number | None) -> str:
    return words.count(None if value is None else round(value))


def _money(value: words.Number | None) -> str:
    return words.money(None if value is None else Decimal(str(value)))


def _share(value: words.Number | None) -> str:
    return words.percent(value, 2)


SERIES = (
    Series("Sessions", lambda d: d.unique_sessions, ",.0f", _whole),
    Series("Clicks", lambda d: d.total_clicks, ",.0f", _whole),
    Series("Purchases", lambda d: d.total_purchases, ",.0f", _whole),
    Series("Revenue", lambda d: d.total_revenue, ",.2f", _money),
    Series("Conversion rate", lambda d: d.conversion_rate, ".2%", _share),
    Series("Average order", lambda d: d.avg_order_value, ",.2f", _money),
    Series("Clicks per session", lambda d: d.avg_clicks_per_session, ",.2f", words.decimal),
    Series("Session duration", lambda d: d.avg_session_duration_seconds, ",.0f", words.duration),
    Series("Buying sessions", lambda d: d.buying_sessions, ",.0f", _whole),
    Series("Items clicked", lambda d: d.unique_items, ",.0f", _whole),
)
UNITS = {"Session duration": ", in seconds"}
BY_NAME = {series.name: series for series in SERIES}


def draw(api: Client) -> None:
    """Draw the page."""
    known = api.days()
    if not known:
        none_computed(TITLE, SUBTITLE, api.freshness())
        return
    st.html(
        pieces.head(TITLE, SUBTITLE, [pieces.chip("Computed", words.plural(len(known), "day"))])
    )
    start, end, series, view = _ask(known)
    counted = known if view == "raw" else api.days(view=view)
    chosen = tuple(day for day in reversed(counted) if start <= day.dt <= end)
    newest = api.freshness().newest_event_at
    days = tuple(day for day in chosen if not is_running(day, newest)) or chosen
    points = points_of(days, series)
    if not points:
        st.html(pieces.nothing("No computed day in this range has this number."))
        return
    if len(points) > 1:
        _trend(series, points)
    else:
        st.html(pieces.nothing("Trends are drawn from the second computed day on."))
    _all_numbers(days)
    abuse.day_card(api, days[-1].dt)
    with st.container(key="card-days"):
        rows = [row(day) for day in reversed(chosen)]
        running = "; the running day is not drawn" if len(days) < len(chosen) else ""
        heading = ("All numbers", f"{words.plural(len(chosen), 'day')}{running}")
        file_name = f"daily-metrics-{view}-{chosen[0].dt}-{chosen[-1].dt}.csv"
        percents = ("conversion_rate",)
        tables.table(heading, rows, file_name, COLUMNS, key="days", percents=percents)
    restated.card(api, chosen[0].dt, chosen[-1].dt)


def _trend(series: Series, points: Points) -> None:
    st.html(pieces.figures(_summary(series, points)))
    left, right = st.columns([2.1, 1], gap="small")
    with left, st.container(key="card-trend", height="stretch"):
        start, end = words.day(points[0][0].date()), words.day(points[-1][0].date())
        mean = "; dashed: mean of 7 days" if len(points) > 7 else ""
        name = f"{series.name}{UNITS.get(series.name, '')}"
        st.html(pieces.title(name, f"{start} – {end}{mean}"))
        chart = charts.trend(points, series.name, series.number_format, 260)
        st.altair_chart(chart, alt=f"{series.name} per day")
    with right, st.container(key="card-week", height="stretch"):
        st.html(pieces.title("How a week goes", "mean, and the range of its days"))
        chart = charts.weekdays(points, series.name, series.number_format, 260)
        st.altair_chart(chart, alt=f"{series.name} per weekday")


def _ask(known: tuple[views.Day, ...]) -> tuple[date, date, Series, str]:
    newest, oldest = known[0].dt, known[-1].dt
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom"):
        name = st.segmented_control(
            "Range", list(RANGES), default="30 d", required=True, key="range", bind="query-params"
        )
        start, end = oldest, newest
        if length := RANGES[name or "30 d"]:
            start = newest - timedelta(days=length - 1)
        if name == "Custom":
            picked = st.date_input(
                "From – to",
                value=(max(oldest, newest - timedelta(days=29)), newest),
                min_value=oldest,
                max_value=newest,
                key="between",
                bind="query-params",
                format="YYYY-MM-DD",
                width=260,
            )
            start, end = (picked[0], picked[-1]) if picked else (oldest, newest)
        chosen = st.selectbox("Number", list(BY_NAME), key="number", bind="query-params", width=210)
        view = abuse.choose_view()
    return start, end, BY_NAME[chosen], view


def points_of(days: tuple[views.Day, ...], series: Series) -> Points:
    """The days' values of a number, where they have one."""
    found: Points = []
    for day in days:
        value = series.value(day)
        if value is not None:
            found.append((datetime.combine(day.dt, time(), UTC), float(value)))
    return found


def _summary(series: Series, points: Points) -> list[pieces.Figure]:
    values = [value for _, value in points]
    best, worst = max(points, key=lambda p: p[1]), min(points, key=lambda p: p[1])
    return [
        pieces.Figure("Newest day", series.text(values[-1]), words.day(points[-1][0].date())),
        pieces.Figure(
            "Mean per day", series.text(sum(values) / len(values)), words.plural(len(values), "day")
        ),
        pieces.Figure("Best day", series.text(best[1]), words.day(best[0].date())),
        pieces.Figure("Weakest day", series.text(worst[1]), words.day(worst[0].date())),
    ]


def _all_numbers(days: tuple[views.Day, ...]) -> None:
    """Each number of the newest day over its line."""
    st.html(
        pieces.figures(
            (
                pieces.Figure(
                    series.name,
                    series.text(series.value(days[-1])),
                    history=tuple(value for _, value in points_of(days, series)),
                )
                for series in SERIES
            ),
            most=5,
        )
    )


def row(day: views.Day) -> dict[str, Any]:
    """A day as a row of the table and of the CSV file."""
    return {
        "dt": day.dt,
        "sessions": day.unique_sessions,
        "clicks": day.total_clicks,
        "purchases": day.total_purchases,
        "revenue": float(day.total_revenue),
        "conversion_rate": _float(day.conversion_rate),
        "avg_order_value": _float(day.avg_order_value),
        "clicks_per_session": _float(day.avg_clicks_per_session),
        "session_seconds": _float(day.avg_session_duration_seconds),
        "items": day.unique_items,
        "buying_sessions": day.buying_sessions,
    }


def _float(value: words.Number | None) -> float | None:
    return None if value is None else float(value)


COLUMNS: dict[str, Any] = {
    "dt": st.column_config.DateColumn("Day (UTC)", format="ddd YYYY-MM-DD", width=120),
    "sessions": tables.number("Sessions"),
    "clicks": tables.number("Clicks"),
    "purchases": tables.number("Purchases"),
    "revenue": tables.money("Revenue"),
    "conversion_rate": tables.percent("Conversion"),
    "avg_order_value": tables.money("Average order"),
    "clicks_per_session": st.column_config.NumberColumn("Clicks / session", format="%.2f"),
    "session_seconds": st.column_config.NumberColumn("Duration (s)", format="%.0f"),
    "items": tables.number("Items"),
    "buying_sessions": tables.number("Buying sessions"),
}
