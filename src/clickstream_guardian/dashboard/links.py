"""Links between the pages, without loading anything anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import streamlit as st


def page(path: str) -> st.Page:
    """The page with that address."""
    found: st.Page = st.session_state["pages"][path]
    return found


def link(path: str, label: str, query: Mapping[str, str], *, wide: bool = False) -> None:
    """Draw a link to a page; the label is Markdown."""
    width: Literal["stretch", "content"] = "stretch" if wide else "content"
    st.page_link(page(path), label=label, query_params=dict(query), width=width)


def go(path: str, query: Mapping[str, str]) -> None:
    """Open a page."""
    st.switch_page(page(path), query_params=dict(query))
