"""The choice of a day, shared by the pages that show one."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st

from clickstream_guardian.dashboard import pieces, views, words
from clickstream_guardian.dashboard.states import nothing_yet


def choose_day(days: tuple[views.Day, ...], key: str) -> date | None:
    """Draw the choice among computed days, newest first; None where the chosen is not computed."""
    newest, oldest = days[0].dt, days[-1].dt
    chosen = st.date_input(
        "Day (UTC)",
        value=newest,
        min_value=oldest,
        max_value=newest,
        key=key,
        bind="query-params",
        width=170,
        format="YYYY-MM-DD",
    )
    if chosen not in {day.dt for day in days}:
        st.html(
            pieces.state(
                f"{words.day(chosen)} is not computed",
                "Its numbers come from the lake in one command.",
                f"guardian batch {chosen}",
            )
        )
        return None
    return chosen


def none_computed(title: str, subtitle: str, freshness: views.Freshness) -> None:
    """A page without any computed day: which command computes them."""
    st.html(pieces.head(title, subtitle))
    if freshness.newest_event_at is None:
        nothing_yet("computed day")
        return
    st.html(
        pieces.state(
            "No day is computed yet",
            "Events have come in; a replay computes their days at its end. To do it now:",
            "guardian batch --dirty",
        )
    )


def beside(days: tuple[views.Day, ...], dt: date, back: int) -> date | None:
    """The day so many days before, if it is computed."""
    earlier = dt - timedelta(days=back)
    return earlier if earlier in {day.dt for day in days} else None
