"""Today's numbers beside yesterday's and last week's, what was just found, how fresh it all is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import escape

import streamlit as st

from clickstream_guardian.dashboard import charts, links, pieces, views, words
from clickstream_guardian.dashboard.client import Client
from clickstream_guardian.dashboard.screens import abuse
from clickstream_guardian.dashboard.screens.days import day_of, is_running, newest_full
from clickstream_guardian.dashboard.states import nothing_yet


@dataclass(frozen=True)
class Kpi:
    """A number of the day that has a card."""

    label: str
    value: Callable[[views.Day], words.Number | None]
    text: Callable[[views.Day], str]


KPIS = (
    Kpi("Sessions", lambda d: d.unique_sessions, lambda d: words.count(d.unique_sessions)),
    Kpi("Clicks", lambda d: d.total_clicks, lambda d: words.count(d.total_clicks)),
    Kpi("Purchases", lambda d: d.total_purchases, lambda d: words.count(d.total_purchases)),
    Kpi("Revenue", lambda d: d.total_revenue, lambda d: words.short_money(d.total_revenue)),
    Kpi(
        "Conversion rate",
        lambda d: d.conversion_rate,
        lambda d: words.percent(d.conversion_rate, 2),
    ),
    Kpi("Average order", lambda d: d.avg_order_value, lambda d: words.money(d.avg_order_value)),
)

COLOURS = {"critical": "red", "high": "orange", "medium": "yellow", "low": "blue"}
TICKER_ROWS = 8
HISTORY_DAYS = 30


def draw(api: Client) -> None:
    """Draw the page."""
    days, fresh = api.days(limit=HISTORY_DAYS + 2), api.freshness()
    newest = api.anomalies(limit=100).anomalies
    if not days and not newest:
        st.html(pieces.head("Overview", "What the shop's visitors did, and who only pretended to."))
        nothing_yet("events")
        return
    timeline, types, status = api.timeline(24, "15m"), api.anomaly_types(), api.status()
    if days:
        _numbers(api, days, fresh)
    else:
        st.html(pieces.head("Overview", "No day is computed yet", _chips(fresh)))
        st.html(
            pieces.nothing("A replay computes its days at its end; now: guardian batch --dirty")
        )
    left, right = st.columns([1.9, 1], gap="small")
    with left:
        _found(timeline, types)
        _flow(status)
    with right, st.container(key="card-ticker", height="stretch"):
        st.html(pieces.title("Newest anomalies", "live"))
        _ticker(newest)


def _numbers(api: Client, days: tuple[views.Day, ...], fresh: views.Freshness) -> None:
    """The newest day that is over; one that is still running would look like a collapse."""
    shown = newest_full(days, fresh.newest_event_at)
    subtitle = f"{words.day(shown.dt)}, UTC"
    if is_running(shown, fresh.newest_event_at):
        subtitle += ", so far"
    elif shown is not days[0]:
        subtitle += f"; {words.day(days[0].dt)} is still running"
    st.html(pieces.head("Overview", subtitle, _chips(fresh)))
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom"):
        view = abuse.choose_view()
    by_view = {"raw": days, "clean": api.days(limit=HISTORY_DAYS + 2, view="clean")}
    other = "raw" if view == "clean" else "clean"
    beside = day_of(by_view[other], shown.dt)
    counted = day_of(by_view[view], shown.dt) or shown
    st.html(pieces.figures(_kpi(kpi, counted, by_view[view], other, beside) for kpi in KPIS))
    abuse.day_card(api, shown.dt)


def _chips(fresh: views.Freshness) -> list[str]:
    if fresh.newest_event_at is None:
        return []
    mood = "good" if (fresh.last_written_seconds or 0) < 120 else ""
    return [
        pieces.chip("Newest event", f"{words.moment(fresh.newest_event_at)} UTC"),
        pieces.chip("Detector wrote", words.ago(fresh.last_written_seconds), mood),
    ]


def _kpi(
    kpi: Kpi,
    shown: views.Day,
    days: tuple[views.Day, ...],
    other: str,
    counted_otherwise: views.Day | None,
) -> pieces.Figure:
    def beside(name: str, back: int) -> pieces.Comparison:
        day = day_of(days, shown.dt - timedelta(days=back))
        if day is None:
            return pieces.Comparison(None, name)
        change = words.change(kpi.value(shown), kpi.value(day))
        return pieces.Comparison(change, name, kpi.text(day))

    past = [day for day in reversed(days) if day.dt <= shown.dt][-HISTORY_DAYS:]
    return pieces.Figure(
        kpi.label,
        kpi.text(shown),
        f"{other} {kpi.text(counted_otherwise)}" if counted_otherwise else "",
        comparisons=(beside("day before", 1), beside("week before", 7)),
        history=tuple(float(kpi.value(day) or 0) for day in past),
    )


def _found(timeline: views.Timeline, types: views.AnomalyTypes) -> None:
    with st.container(key="card-timeline"):
        total = sum(sum(series.counts) for series in timeline.series)
        note = f"{words.plural(total, 'anomaly', 'anomalies')} in the last 24 hours of data, UTC"
        st.html(pieces.title("Anomalies over the day", note))
        if total:
            st.altair_chart(charts.timeline(timeline, 262), alt="Anomalies per 15 minutes and rule")
        else:
            st.html(pieces.nothing("No anomaly in the last 24 hours of data."))
        sessions = [
            f"{one.rule} {words.plural(one.session_count, 'session')}" for one in types.types
        ]
        if sessions:
            st.html(f'<div class="cg-note">In all: {" · ".join(map(escape, sessions))}</div>')


def _flow(status: views.Status) -> None:
    events, balance = status.events, status.reconciliation
    state = pieces.Figure("Reconciled", words.NOTHING, "nothing landed yet")
    if balance is not None:
        state = pieces.Figure("Reconciled", "yes", "every event is in the lake", "good")
        if not balance.balanced:
            off = words.signed(balance.difference)
            state = pieces.Figure("Reconciled", off, "events without a place", "bad")
    st.html(
        pieces.figures(
            (
                pieces.Figure("Received", words.count(events.received), "events read"),
                pieces.Figure("Rejected", words.count(events.rejected), "could not be read"),
                pieces.Figure("Late", words.count(events.late), "not judged, but landed"),
                state,
            )
        )
    )


def _ticker(newest: tuple[views.Anomaly, ...]) -> None:
    if not newest:
        st.html(pieces.nothing("Nothing found so far."))
        return
    with st.container(key="ticker"):
        for windows in by_session(newest)[:TICKER_ROWS]:
            one = windows[0]
            query = {"id": one.session_id, "anomaly": one.anomaly_id}
            links.link("session", ticker_label(windows), query, wide=True)
    links.link("anomalies", "All anomalies :material/arrow_forward:", {})


def by_session(newest: tuple[views.Anomaly, ...]) -> list[list[views.Anomaly]]:
    """The anomalies of each session and rule together, newest first: sliding windows repeat."""
    found: dict[tuple[str, str], list[views.Anomaly]] = {}
    for one in newest:
        found.setdefault((one.session_id, one.rule), []).append(one)
    return list(found.values())


def ticker_label(windows: list[views.Anomaly]) -> str:
    """A session's anomalies in two lines of Markdown; texts of others stand as they are."""
    one = windows[0]
    colour = COLOURS.get(one.severity, "gray")
    session = words.escape_markdown(words.short(one.session_id, 24))
    why = words.escape_markdown(one.explanation)
    more = f" · {len(windows)} windows" if len(windows) > 1 else ""
    return (
        f":{colour}-badge[{words.escape_markdown(one.severity)}] **{why}** "
        f":gray[session {session} · {words.clock(one.window_start)}{more}]"
    )
