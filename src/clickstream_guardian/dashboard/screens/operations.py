"""How Guardian itself is doing: what came in, what was refused, how far it has come."""

from __future__ import annotations

from typing import Any

import streamlit as st

from clickstream_guardian.dashboard import pieces, tables, views, words
from clickstream_guardian.dashboard.client import Client
from clickstream_guardian.dashboard.states import nothing_yet

TITLE = "Operations"
SUBTITLE = "What came in, what was refused, how far detector and batch have come"


def draw(api: Client) -> None:
    """Draw the page."""
    status = api.status()
    st.html(pieces.head(TITLE, SUBTITLE, [pieces.chip("As of", f"{words.moment(status.at)} UTC")]))
    if not status.events.received and not status.positions:
        nothing_yet("events")
        return
    st.html(pieces.figures(_numbers(status)))
    left, right = st.columns([1.7, 1], gap="small")
    with left, st.container(key="card-balance", height="stretch"):
        _balance(status)
    with right, st.container(key="card-batch", height="stretch"):
        _batch(status)
    if status.events.rejected_by_reason:
        with st.container(key="card-rejected"):
            _rejected(status.events)
    with st.container(key="card-sources"):
        _sources(status.sources)
    with st.container(key="card-positions"):
        _positions(status)


def _numbers(status: views.Status) -> list[pieces.Figure]:
    events = status.events
    lag = "no log known" if status.lag is None else "events still to be judged"
    return [
        pieces.Figure("Received", words.count(events.received), "lines or messages read"),
        pieces.Figure("Events", words.count(events.events), "each counted once"),
        pieces.Figure("Duplicates", words.count(events.duplicates), "repeats of an event"),
        pieces.Figure(
            "Rejected",
            words.count(events.rejected),
            f"{words.share(events.rejected, events.received)} of the received",
        ),
        pieces.Figure(
            "Late",
            words.count(events.late),
            f"{words.share(events.late, events.received)}; landed, not judged",
        ),
        pieces.Figure("Lag", words.count(status.lag), lag, "warn" if status.lag else ""),
    ]


def _balance(status: views.Status) -> None:
    events, balance = status.events, status.reconciliation
    note = "" if balance is None else f"checked {words.moment(balance.checked_at)} UTC"
    st.html(pieces.title("Reconciliation", note))
    if balance is None:
        st.html(pieces.nothing("Nothing has landed in the lake yet."))
        return
    st.html(
        pieces.equation(
            (
                pieces.Figure("Received", words.count(events.received)),
                "=",
                pieces.Figure("Landed", words.count(events.landed)),
                "+",
                pieces.Figure("Rejected", words.count(events.rejected)),
            )
        )
    )
    if balance.balanced:
        st.html(pieces.badge("Balanced: nothing is missing, nothing is twice", "good"))
        return
    off = words.signed(balance.difference)
    st.html(pieces.badge(f"Off by {off} events: see 'guardian status'", "critical"))


def _batch(status: views.Status) -> None:
    batch = status.batch
    st.html(pieces.title("Daily batch"))
    ago = None
    if batch.last_finished_at is not None:
        ago = (status.at - batch.last_finished_at).total_seconds()
    st.html(
        pieces.facts(
            {
                "Newest day": words.NOTHING
                if batch.newest_dt is None
                else words.day(batch.newest_dt),
                "Computed": words.plural(batch.day_count, "day"),
                "Last run": words.ago(ago),
                "Finished": words.moment(batch.last_finished_at),
            }
        )
    )
    if batch.dirty_days is None:
        st.html(pieces.badge("Not known which days are dirty"))
    elif batch.dirty_days:
        days = ", ".join(str(day) for day in batch.dirty_days[:5])
        more = len(batch.dirty_days) - 5
        text = f"Dirty: {days}{f' and {more} more' if more > 0 else ''}"
        st.html(pieces.badge(text, "medium"))
        st.code("guardian batch --dirty", language=None)
    else:
        st.html(pieces.badge("No day is dirty", "good"))


def _rejected(events: views.EventCounts) -> None:
    st.html(pieces.title("Rejected, by reason", words.plural(events.rejected, "event")))
    reasons = sorted(events.rejected_by_reason.items(), key=lambda pair: (-pair[1], pair[0]))
    st.html(
        pieces.bars(
            pieces.Bar(reason, words.count(number), number / max(events.rejected, 1), "medium")
            for reason, number in reasons
        )
    )
    st.html('<div class="cg-note">Look at them:</div>')
    st.code('guardian sql "SELECT * FROM rejected LIMIT 20"', language=None)


def _sources(sources: tuple[views.SourceStatus, ...]) -> None:
    heading = ("Sources", "latest started first")
    if not sources:
        st.html(pieces.title(*heading))
        st.html(pieces.nothing("No source was read: events come over the log."))
        return
    rows: list[dict[str, Any]] = [
        {
            "place": one.place,
            "kind": one.kind,
            "status": one.status,
            "total_lines": one.total_lines,
            "event_count": one.event_count,
            "rejected_count": one.rejected_count,
            "late_count": one.late_count,
            "started_at": one.started_at,
            "finished_at": one.finished_at,
            "source": one.source,
        }
        for one in sources
    ]
    tables.table(heading, rows, "sources.csv", SOURCE_COLUMNS, key="sources")


def _positions(status: views.Status) -> None:
    heading = ("Positions", "how far the detector has come in each partition")
    if not status.positions:
        st.html(pieces.title(*heading))
        st.html(pieces.nothing("The detector has not read anything yet."))
        return
    places = {one.source: one.place for one in status.sources}
    rows = [
        {"place": places.get(one.source, one.source), **one.model_dump()}
        for one in status.positions
    ]
    tables.table(heading, rows, "positions.csv", POSITION_COLUMNS, key="positions")


SOURCE_COLUMNS: dict[str, Any] = {
    "place": tables.text("Place"),
    "kind": tables.text("Kind", 90),
    "status": tables.text("Status", 90),
    "total_lines": tables.number("Lines"),
    "event_count": tables.number("Events"),
    "rejected_count": tables.number("Rejected"),
    "late_count": tables.number("Late"),
    "started_at": tables.instant("Started"),
    "finished_at": tables.instant("Finished"),
    "source": tables.text("Source", 130),
}
POSITION_COLUMNS: dict[str, Any] = {
    "place": tables.text("Place"),
    "group_name": tables.text("Detector"),
    "source": tables.text("Source", 130),
    "partition": tables.number("Partition", 80),
    "next_offset": tables.number("Next offset"),
    "newest_event_at": tables.instant("Newest event"),
    "ended": st.column_config.CheckboxColumn("Read to its end", width=110),
    "lag": tables.number("Lag"),
}
