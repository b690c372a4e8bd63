"""Links between the pages, without loading anything anew."""

from __future__ import annotations

from typing import Literal

import streamlit as st


def page(path: str) -> st.Page:
    """The page with that address."""
    found: st.Page = st.session_state["pages"][path]
    return found


def link(path: str, label: str, *, wide: bool = False, **query: str) -> None:
    """Draw a link to a page; the label is Markdown."""
    width: Literal["stretch", "content"] = "stretch" if wide else "content"
    st.page_link(page(path), label=label, query_params=query, width=width)


def go(path: str, **query: str) -> None:
    """Open a page."""
    st.switch_page(page(path), query_params=query)
