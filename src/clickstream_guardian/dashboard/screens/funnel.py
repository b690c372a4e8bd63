"""How far sessions come: from a view to more views to a purchase, and who buys directly."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import streamlit as st

from clickstream_guardian.dashboard import charts, pieces, tables, views, words
from clickstream_guardian.dashboard.client import Client
from clickstream_guardian.dashboard.screens import abuse
from clickstream_guardian.dashboard.screens.days import choose_day, day_of, none_computed

TITLE = "Funnel"
SUBTITLE = "Sessions of one day; each step counts only those that reached the one before"
NAMES = {"VIEW": "View", "MULTI_VIEW": "Two or more views", "PURCHASE": "Purchase"}
MEANING = {
    "VIEW": "1 click or more",
    "MULTI_VIEW": "2 clicks or more",
    "PURCHASE": "bought at or after the second click",
}


def draw(api: Client) -> None:
    """Draw the page."""
    known = api.days()
    if not known:
        none_computed(TITLE, SUBTITLE, api.freshness())
        return
    st.html(pieces.head(TITLE, SUBTITLE))
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom"):
        view = abuse.choose_view()
        day = choose_day(known, api.freshness().newest_event_at)
    found = None if day is None else api.funnel(day.dt, view)
    if day is None or found is None:
        return
    dt = day.dt
    earlier = {
        "day before": _earlier(api, known, dt, 1, view),
        "week before": _earlier(api, known, dt, 7, view),
    }
    st.html(pieces.figures([*_steps(found, earlier), _direct(found)]))
    with st.container(key="card-funnel"):
        st.html(pieces.title("Sessions per step", f"{words.day(dt)}, UTC"))
        if found.steps and found.steps[0].sessions:
            st.altair_chart(charts.funnel(found, NAMES), alt="Sessions per step of the funnel")
        else:
            st.html(pieces.nothing("No session clicked on this day."))
    abuse.funnel_card(api.funnel_delta(dt), NAMES)
    with st.container(key="card-steps"):
        heading = ("In numbers", "a direct purchase stands outside the steps")
        percents = ("share_ratio", "drop_ratio")
        tables.table(
            heading, rows(found), f"funnel-{view}-{dt}.csv", COLUMNS, key="steps", percents=percents
        )


def _earlier(
    api: Client, known: tuple[views.Day, ...], dt: date, back: int, view: str
) -> views.Funnel | None:
    day = day_of(known, dt - timedelta(days=back))
    return None if day is None else api.funnel(day.dt, view)


def _steps(found: views.Funnel, earlier: dict[str, views.Funnel | None]) -> list[pieces.Figure]:
    return [
        pieces.Figure(
            NAMES.get(step.step, step.step),
            words.count(step.sessions),
            _note(step),
            comparisons=tuple(_comparison(step, before, name) for name, before in earlier.items()),
        )
        for step in found.steps
    ]


def _note(step: views.FunnelStep) -> str:
    if step.drop_ratio is None:
        return MEANING.get(step.step, "")
    share, lost = words.percent(step.share_ratio), words.percent(step.drop_ratio)
    return f"{share} of all · {lost} lost here"


def _comparison(
    step: views.FunnelStep, before: views.Funnel | None, name: str
) -> pieces.Comparison:
    """The first step compares its sessions, the others their share."""
    other = next((one for one in (before.steps if before else ()) if one.step == step.step), None)
    if other is None:
        return pieces.Comparison(None, name)
    if step.drop_ratio is None:
        change = words.change(step.sessions, other.sessions)
        return pieces.Comparison(change, name, words.count(other.sessions))
    change = words.change(step.share_ratio, other.share_ratio)
    return pieces.Comparison(change, name, words.percent(other.share_ratio))


def _direct(found: views.Funnel) -> pieces.Figure:
    bought = found.direct_purchase_sessions + (found.steps[-1].sessions if found.steps else 0)
    share = Decimal(found.direct_purchase_sessions) / bought if bought else None
    return pieces.Figure(
        "Direct purchase",
        words.count(found.direct_purchase_sessions),
        f"bought without two views · {words.percent(share)} of buyers",
    )


def rows(found: views.Funnel) -> list[dict[str, Any]]:
    """The funnel as rows of the table and of the CSV file."""
    steps: list[dict[str, Any]] = [
        {
            "step": step.step,
            "sessions": step.sessions,
            "share_ratio": None if step.share_ratio is None else float(step.share_ratio),
            "drop_ratio": None if step.drop_ratio is None else float(step.drop_ratio),
        }
        for step in found.steps
    ]
    outside = {"share_ratio": None, "drop_ratio": None}
    return [
        *steps,
        {"step": "DIRECT_PURCHASE", "sessions": found.direct_purchase_sessions, **outside},
    ]


COLUMNS: dict[str, Any] = {
    "step": tables.text("Step"),
    "sessions": tables.number("Sessions"),
    "share_ratio": tables.percent("Share of the first"),
    "drop_ratio": tables.percent("Lost since the step before"),
}
