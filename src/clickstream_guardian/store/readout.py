"""Whole tables as Arrow, for ad-hoc queries beside the lake."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from psycopg import sql

from clickstream_guardian.store.database import Store
from clickstream_guardian.store.driver import driver_connection

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg import Column

ANOMALIES = "anomalies"
_SOURCES = {ANOMALIES: "anomaly_sessions"}
_FURTHER = ("session_verdicts", "allow_list", "excluded_sessions", "restatements")
_HIDDEN = ("fingerprint",)


def read_tables(store: Store, metrics: Sequence[str]) -> Mapping[str, Callable[[], pa.Table]]:
    """A reader for ``anomalies``, and for each metric and ``popular_items``, raw and clean.

    What each rule takes off is under ``<metric>_delta``. Verdicts, the allow-list, which sessions
    are left out of days, and what days were before they were restated are there too.
    """
    shown = (*metrics, "popular_items")
    clean = (f"{name}_clean" for name in shown)
    deltas = (f"{name}_delta" for name in metrics)
    names = dict.fromkeys((ANOMALIES, *shown, *clean, *deltas, *_FURTHER))
    return {name: _reader(store, _SOURCES.get(name, name)) for name in names}


def _reader(store: Store, table: str) -> Callable[[], pa.Table]:
    return lambda: read_table(store, table)


def read_table(store: Store, table: str) -> pa.Table:
    """All rows of a table or view: days and JSON as text, money as decimals, ratios as doubles."""
    from pyarrow import csv

    name = sql.Identifier(table)
    with store.begin() as connection:
        driver = driver_connection(connection)
        head = driver.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(name)).description or []
        columns = [column for column in head if column.name not in _HIDDEN]
        listed = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        buffer = io.BytesIO()
        copy = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)")
        with driver.cursor().copy(copy.format(listed, name)) as rows:
            for block in rows:
                buffer.write(block)
    buffer.seek(0)
    options = csv.ConvertOptions(
        column_types={column.name: _arrow_type(column) for column in columns},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["t"],
        false_values=["f"],
        timestamp_parsers=[csv.ISO8601],
    )
    return csv.read_csv(
        buffer, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=options
    )


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa

    numeric = pa.float64() if column.scale is None else pa.decimal128(38, column.scale)
    types = {
        "int8": pa.int64(),
        "int4": pa.int32(),
        "float8": pa.float64(),
        "bool": pa.bool_(),
        "numeric": numeric,
        "timestamptz": pa.timestamp("us", "UTC"),
    }
    return types.get(column.type_display.partition("(")[0], pa.string())
