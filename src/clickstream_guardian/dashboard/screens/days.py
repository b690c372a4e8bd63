"""The choice of a day, shared by the pages that show one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import streamlit as st

from clickstream_guardian.dashboard import pieces, views, words
from clickstream_guardian.dashboard.states import nothing_yet

_LAST_MINUTES = timedelta(minutes=10)


def choose_day(days: tuple[views.Day, ...], newest_event_at: datetime | None) -> views.Day | None:
    """Draw the choice among computed days; the newest that is over is chosen first.

    Returns:
        The chosen day; None, with the command that computes it, where it is not computed.
    """
    chosen: date = st.date_input(
        "Day (UTC)",
        value=newest_full(days, newest_event_at).dt,
        min_value=days[-1].dt,
        max_value=days[0].dt,
        key="date",
        bind="query-params",
        width=170,
        format="YYYY-MM-DD",
    )
    found = day_of(days, chosen)
    if found is None:
        st.html(
            pieces.state(
                f"{words.day(chosen)} is not computed",
                "Its numbers come from the lake in one command.",
                f"guardian batch {chosen}",
            )
        )
    return found


def is_running(day: views.Day, newest_event_at: datetime | None) -> bool:
    """Whether the day's events are still coming, by the clock of the events themselves."""
    end = datetime.combine(day.dt, time(), UTC) + timedelta(days=1)
    return newest_event_at is not None and newest_event_at < end - _LAST_MINUTES


def newest_full(days: tuple[views.Day, ...], newest_event_at: datetime | None) -> views.Day:
    """The newest day that is over; the newest of all where none is."""
    return next((day for day in days if not is_running(day, newest_event_at)), days[0])


def day_of(days: tuple[views.Day, ...], dt: date) -> views.Day | None:
    """The day with that date, if it is computed."""
    return next((day for day in days if day.dt == dt), None)


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
