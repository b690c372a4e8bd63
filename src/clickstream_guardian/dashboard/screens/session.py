"""One session: why it was found, in words, in numbers, and in the events themselves."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from clickstream_guardian.dashboard import evidence, links, pieces, tables, views, words
from clickstream_guardian.dashboard.client import Client

_THRESHOLD = re.compile(r"\s*(>=|<=|==|>|<)\s*(-?[0-9.]+)\s*")


def draw(api: Client) -> None:
    """Draw the page for the session that the address names."""
    back: dict[str, str] = st.session_state.get("anomaly_query", {})
    links.link("anomalies", ":material/arrow_back: All anomalies", back)
    session_id = st.query_params.get("id", "")
    found = api.session(session_id)
    if found is None:
        st.html(pieces.head("Session", session_id))
        st.html(
            pieces.state(
                "This session has no anomalies",
                f"No rule has found session {words.short(session_id, 80)!r} abusive.",
                "guardian anomalies --limit 20",
            )
        )
        return
    shown = found.anomalies
    chosen = _choose(shown)
    count = words.plural(found.anomaly_count, "anomaly", "anomalies")
    span = words.span(shown[-1].window_start, shown[0].window_end)
    st.html(pieces.head(f"Session {session_id}", f"{count} · {span}"))
    left, right = st.columns([1, 2], gap="small")
    with left:
        _reason(chosen)
        _whole(found)
    with right:
        _evidence(chosen)
    if len(shown) > 1:
        _windows(found, chosen)
    _events(chosen)


def _choose(shown: tuple[views.Anomaly, ...]) -> views.Anomaly:
    """The one that the address names, else the worst: by severity, then by its events."""
    asked = st.query_params.get("anomaly")
    worst = min(shown, key=lambda one: (_severity_rank(one.severity), -one.event_count))
    return next((one for one in shown if one.anomaly_id == asked), worst)


def _reason(one: views.Anomaly) -> None:
    with st.container(key="card-reason"):
        badges = [pieces.severity_badge(one.severity), pieces.badge(one.status)]
        st.html(pieces.explanation(one.explanation, badges))
        st.html(pieces.bars(measure_bars(one)))
        st.html(
            pieces.facts(
                {
                    "Rule": f"{one.rule}, version {one.rule_version}",
                    "Window": words.span(one.window_start, one.window_end),
                    "Length": words.duration((one.window_end - one.window_start).total_seconds()),
                    "Events": words.count(one.event_count),
                    "Crossed at": f"{words.precise(one.first_crossed_at)} UTC",
                    "Written": f"{words.moment(one.detected_at)} UTC",
                }
            )
        )
        st.html('<div class="cg-note">Derive it again from the lake:</div>')
        st.code(f"guardian explain {one.anomaly_id}", language=None, wrap_lines=True)


def _whole(found: views.SessionAnomalies) -> None:
    shown = found.anomalies
    worst = min((one.severity for one in shown), key=_severity_rank)
    with st.container(key="card-session", height="stretch"):
        st.html(pieces.title("The session in all"))
        st.html(
            pieces.facts(
                {
                    "Anomalies": words.count(found.anomaly_count),
                    "Rules": ", ".join(sorted({one.rule for one in shown})),
                    "Worst": worst,
                    "Largest window": words.plural(max(one.event_count for one in shown), "event"),
                    "First window": f"{words.moment(shown[-1].window_start)} UTC",
                    "Last window": f"{words.moment(shown[0].window_start)} UTC",
                }
            )
        )


def _severity_rank(severity: str) -> int:
    known = pieces.SEVERITIES
    return known.index(severity) if severity in known else len(known)


def measure_bars(one: views.Anomaly) -> list[pieces.Bar]:
    """Each measured value; where the rule asks something of it, as a bar with its threshold."""
    return [_measure_bar(name, value, one) for name, value in one.measures.items()]


def _measure_bar(name: str, value: float, one: views.Anomaly) -> pieces.Bar:
    asked = one.thresholds.get(name, "")
    parsed = _THRESHOLD.fullmatch(asked)
    text = f"{words.measure(value)} · rule: {asked}" if asked else words.measure(value)
    if parsed is None:
        return pieces.Bar(name, text, None)
    limit = float(parsed.group(2))
    full = max(abs(value), abs(limit)) * 1.15 or 1.0
    return pieces.Bar(name, text, value / full, one.severity, limit / full)


def event_limit(one: views.Anomaly) -> float | None:
    """The least number of events that the rule asks for, if one of its measures counts them."""
    for name, asked in one.thresholds.items():
        parsed = _THRESHOLD.fullmatch(asked)
        if parsed and parsed.group(1) in (">=", ">") and one.measures.get(name) == one.event_count:
            return float(parsed.group(2))
    return None


def _evidence(one: views.Anomaly) -> None:
    with st.container(key="card-evidence", height="stretch"):
        taken = len(one.sample.occurred_at)
        note = f"first {taken} of {words.count(one.event_count)} events; dashed: the crossing"
        st.html(pieces.title("Events so far in the window", note))
        if not taken:
            st.html(pieces.nothing("No events were kept with this anomaly."))
            return
        st.altair_chart(
            evidence.events(one, event_limit(one), max(230, 530 - evidence.items_height(one))),
            alt="Events counted up over the window",
        )
        items = len(set(one.sample.item_id))
        note = f"{words.plural(items, 'item')}; a close-up of the sample"
        st.html(pieces.title("On which items", note))
        st.altair_chart(evidence.items(one), alt="Items of the events over the window")


def _windows(found: views.SessionAnomalies, chosen: views.Anomaly) -> None:
    shown = found.anomalies
    with st.container(key="card-windows"):
        rows = [
            {
                "window_start": one.window_start,
                "severity": [one.severity],
                "rule": one.rule,
                "why": one.explanation,
                "events": one.event_count,
                "status": one.status,
            }
            for one in shown
        ]
        note = (
            f"{len(shown)} of {found.anomaly_count}" if len(shown) < found.anomaly_count else "all"
        )
        heading = ("Windows that fired", f"{note} · click a row to see its evidence")
        tables.head(heading, lambda: rows, "session-windows.csv", key="windows-csv")
        st.altair_chart(evidence.windows(shown), alt="The session's windows over time")
        event = st.dataframe(
            tables.columns_of(rows),
            hide_index=True,
            column_config=_WINDOW_COLUMNS,
            key=f"windows-{found.session_id}",
            height=tables.table_height(len(rows), 7),
            on_select="rerun",
            selection_mode="single-cell",
        )
        cells = event.selection.cells
        if cells and cells[0][0] < len(shown) and shown[cells[0][0]] is not chosen:
            st.query_params["anomaly"] = shown[cells[0][0]].anomaly_id
            st.rerun(scope="fragment")


def _events(one: views.Anomaly) -> None:
    sample = one.sample
    if not sample.occurred_at:
        return
    with st.container(key="card-events"):
        rows: list[dict[str, Any]] = [
            {
                "occurred_at": at,
                "item_id": item,
                "event_id": event_id,
                "crossing": event_id == one.crossed_event_id,
            }
            for at, item, event_id in zip(
                sample.occurred_at, sample.item_id, sample.event_id, strict=False
            )
        ]
        heading = ("Sampled events", words.plural(len(rows), "event"))
        tables.table(heading, rows, "session-events.csv", _EVENT_COLUMNS, key="events", most_rows=8)


_WINDOW_COLUMNS: dict[str, Any] = {
    "window_start": tables.instant("Window start"),
    "severity": tables.severity(),
    "rule": tables.text("Rule"),
    "why": tables.text("Why", "large"),
    "events": tables.number("Events", 80),
    "status": tables.text("Status", 80),
}
_EVENT_COLUMNS: dict[str, Any] = {
    "occurred_at": tables.instant("Time", ".SSS"),
    "item_id": tables.text("Item"),
    "event_id": tables.text("Event id", "medium"),
    "crossing": st.column_config.CheckboxColumn("Crossing event", width=110),
}
