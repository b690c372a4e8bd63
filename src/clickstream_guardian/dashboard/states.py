"""Draws a page, or says in its place why it cannot be drawn and what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable

import streamlit as st

from clickstream_guardian.dashboard import pieces
from clickstream_guardian.dashboard.client import (
    ApiDownError,
    ApiProblemError,
    Client,
    noting_stale_answers,
)

Page = Callable[[Client], None]


def draw(page: Page, api: Client) -> None:
    """Draw the page, with a note above where it is of an earlier time.

    An API that does not answer gets a state of its own.
    """
    note, said = st.empty(), st.session_state.get("stale_seconds")
    if said is not None:  # until the page is drawn anew, so that nothing jumps
        note.html(pieces.stale(said))
    ages: list[int] = []
    try:
        with noting_stale_answers() as ages:
            page(api)
    except ApiDownError as error:
        st.html(
            pieces.state(
                "The API does not answer",
                f"{error} Start it, or look at what it says; this page comes back by itself.",
                "guardian serve",
                bad=True,
            )
        )
    except ApiProblemError as problem:
        st.html(_problem(problem))
    except Exception:
        logging.getLogger(__name__).exception("A page could not be drawn.")
        st.html(
            pieces.state(
                "This page could not be drawn",
                "That is an error of ours: the output of 'guardian serve' says where. "
                "The other pages go on.",
                bad=True,
            )
        )
    st.session_state["stale_seconds"] = max(ages, default=None)
    if ages:
        note.html(pieces.stale(max(ages)))
    elif said is not None:
        note.empty()


def nothing_yet(what: str) -> None:
    """An empty home: which command fills it."""
    st.html(
        pieces.state(
            f"No {what} yet",
            "Nothing has come in so far. Try a generated day with attacks in it, or replay "
            "your own files; this page fills by itself.",
            "guardian demo\nguardian replay --clicks clicks.dat --purchases buys.dat",
        )
    )


def _problem(problem: ApiProblemError) -> str:
    if problem.status in (401, 403):
        return pieces.state(
            "The API asks for a key", str(problem), "guardian keys create dashboard", bad=True
        )
    if problem.status in (429, 503):
        return pieces.state(
            "The API cannot answer now", f"{problem} This page asks again by itself.", bad=True
        )
    return pieces.state(
        f"The API answered {problem.status}", str(problem), "guardian status", bad=True
    )
