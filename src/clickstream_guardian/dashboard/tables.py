"""Tables on a page, each with its CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import streamlit as st

from clickstream_guardian.dashboard import pieces

Rows = Sequence[Mapping[str, Any]]

_ROW_PIXELS = 33


def table(
    heading: tuple[str, str],
    rows: Rows,
    file_name: str,
    columns: Mapping[str, Any],
    *,
    key: str,
    most_rows: int = 10,
    percents: Collection[str] = (),
) -> None:
    """Draw rows as a table under a heading, with a button that gives them as CSV.

    Args:
        heading: Title and note.
        rows: One mapping per row; the first names the columns.
        file_name: Name of the CSV file.
        columns: How a column is shown, by its name.
        key: Name of the table on the page.
        most_rows: Rows that are seen without scrolling.
        percents: Columns of ratios that are shown as per cent; the file keeps the ratios.
    """
    head(heading, lambda: rows, file_name, key=f"{key}-csv")
    shown = columns_of(rows)
    for name in percents:
        shown[name] = [None if ratio is None else ratio * 100 for ratio in shown[name]]
    st.dataframe(
        shown,
        hide_index=True,
        column_config=dict(columns),
        key=key,
        height=table_height(len(rows), most_rows),
        placeholder="–",
    )


def head(
    heading: tuple[str, str],
    rows: Callable[[], Rows],
    file_name: str,
    *,
    key: str,
    note: str | None = None,
) -> None:
    """Draw a title with a button at its right that gives the rows as CSV.

    The rows are fetched when it is pressed; the note says which they are.
    """
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.html(pieces.title(*heading), width="stretch")
        st.download_button(
            "CSV",
            lambda: to_csv(rows()),
            file_name=file_name,
            mime="text/csv",
            key=key,
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            help=note,
        )


def table_height(rows: int, most: int) -> int | Literal["auto"]:
    """Height of a table that shows so many of its rows."""
    return "auto" if rows <= min(most, 10) else _ROW_PIXELS * (min(rows, most) + 1)


def instant(label: str, places: str = "") -> Any:
    """A column of instants in UTC; ``places`` as ``.SSS`` adds fractions."""
    shape = f"YYYY-MM-DD HH:mm:ss{places}"
    return st.column_config.DatetimeColumn(f"{label} (UTC)", format=shape, timezone="UTC")


def severity() -> Any:
    """A column of severities in their colours."""
    return st.column_config.MultiselectColumn(
        "Severity",
        options=list(pieces.SEVERITIES),
        color=["red", "orange", "yellow", "blue"],
        width=90,
    )


def number(label: str, width: int | None = None) -> Any:
    """A column of whole numbers with their thousands apart."""
    return st.column_config.NumberColumn(label, format="localized", width=width)


def money(label: str) -> Any:
    """A column of amounts."""
    return st.column_config.NumberColumn(label, format="accounting")


def change(label: str) -> Any:
    """A column of amounts that come or go: with a minus, where ``money`` has parentheses."""
    return st.column_config.NumberColumn(label, format="%.2f")


def percent(label: str) -> Any:
    """A column of ratios as per cent; name it in ``percents`` of :func:`table`."""
    return st.column_config.NumberColumn(label, format="%.2f %%")


def text(label: str, width: int | Literal["small", "medium", "large"] | None = None) -> Any:
    """A column of text."""
    return st.column_config.TextColumn(label, width=width)


def columns_of(rows: Rows) -> dict[str, list[Any]]:
    """The rows as columns."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def to_csv(rows: Rows) -> str:
    """The rows as CSV (RFC 4180) with a header.

    A text that a spreadsheet would run as a formula gets an apostrophe in front: ids come from
    outside.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return " ".join(str(one) for one in value)
    return value
