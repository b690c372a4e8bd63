"""The frame of every page: style, sidebar, navigation, refresh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import streamlit as st

from clickstream_guardian.dashboard import pieces, words
from clickstream_guardian.dashboard.client import ApiDownError, ApiProblemError, Client
from clickstream_guardian.dashboard.connection import connection
from clickstream_guardian.dashboard.screens import (
    anomalies,
    daily,
    funnel,
    items,
    operations,
    overview,
    session,
)
from clickstream_guardian.dashboard.states import Page, draw


@dataclass(frozen=True)
class Entry:
    """A page's place in the navigation, and how much slower than others it asks anew."""

    title: str
    icon: str
    path: str
    page: Page
    slower: int = 1
    hidden: bool = False


_DAYS = 6
"""Pages of whole days change rarely: they ask so many times more rarely."""

ENTRIES = (
    Entry("Overview", "space_dashboard", "", overview.draw),
    Entry("Anomalies", "gpp_maybe", "anomalies", anomalies.draw),
    Entry("Session", "person_search", "session", session.draw, hidden=True),
    Entry("Daily metrics", "monitoring", "daily", daily.draw, slower=_DAYS),
    Entry("Funnel", "filter_alt", "funnel", funnel.draw, slower=_DAYS),
    Entry("Items", "sell", "items", items.draw, slower=_DAYS),
    Entry("Operations", "tune", "operations", operations.draw),
)


def run() -> None:
    """Draw the page that the address names."""
    st.set_page_config(
        page_icon=str(pieces.ASSETS / "logo.svg"),
        layout="wide",
        initial_sidebar_state="auto",
    )
    st.html(pieces.ASSETS / "style.css")
    pages = {entry.path: _page(entry) for entry in ENTRIES}
    st.session_state["pages"] = pages
    current = st.navigation(list(pages.values()), position="hidden")
    with st.sidebar:
        _sidebar(pages)
    current.run()


def _page(entry: Entry) -> st.Page:
    return st.Page(
        _body(entry),
        title=f"{entry.title} · Guardian",
        url_path=entry.path,
        default=not entry.path,
        visibility="hidden" if entry.hidden else "visible",
    )


@cache
def _body(entry: Entry) -> Callable[[], None]:
    def body() -> None:
        draw(entry.page, connection().client)

    def run_body() -> None:
        live = st.session_state.get("live", True)
        every = connection().refresh_seconds * entry.slower
        st.fragment(body, run_every=every if live else None, key=entry.title)()

    return run_body


def _sidebar(pages: dict[str, st.Page]) -> None:
    st.html(pieces.brand())
    with st.container(key="nav"):
        for entry in ENTRIES:
            if not entry.hidden:
                st.page_link(pages[entry.path], label=entry.title, icon=f":material/{entry.icon}:")
    st.fragment(_state, run_every=connection().refresh_seconds, key="state")()
    st.toggle("Refresh by itself", value=True, key="live", persist_state="session")
    st.html(pieces.theme_switch())


def _state() -> None:
    st.html(_connection(connection().client))


def _connection(api: Client) -> str:
    try:
        fresh = api.freshness()
    except ApiDownError:
        return pieces.sidebar_state("bad", "API does not answer", [api.api_url])
    except ApiProblemError as problem:
        return pieces.sidebar_state("warn", f"API answered {problem.status}", [api.api_url])
    if fresh.newest_event_at is None:
        return pieces.sidebar_state("good", "Connected", ["No events yet"])
    lines = [
        f"Newest event {words.moment(fresh.newest_event_at)} UTC",
        f"Detector wrote {words.ago(fresh.last_written_seconds)}",
    ]
    return pieces.sidebar_state("good", "Connected", lines)
