"""Clean numbers on DuckDB: the variants of the days at hand, through the SQL of the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from clickstream_guardian.engines.embedded.connection import quoted
from clickstream_guardian.engines.embedded.raw_files import as_column, select_files
from clickstream_guardian.engines.embedded.views import as_date, make_views_over_events
from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.metrics.clean import (
    BLAMED,
    BLAMED_DAYS,
    BLAMED_ITEMS,
    BLAMED_VISITS,
    EXCLUDED_SCHEMA,
    SELECT_BLAMED_DAYS,
    SELECT_BLAMED_ITEMS,
    SELECT_BLAMED_VISITS,
    VARIANTS,
    Variant,
    select_blamed,
    select_witnesses,
    variants_of,
)
from clickstream_guardian.metrics.loader import DAYS_VIEW, needed_views, read_fields
from clickstream_guardian.metrics.model import Metric


def find_blamed(connection: duckdb.DuckDBPyConnection, blamed: pa.Table) -> pa.Table:
    """The blamed sessions that have an event on the days whose views are made, by day."""
    connection.register("given", blamed)
    _make(connection, BLAMED, "FROM given")
    connection.unregister("given")
    _make(connection, BLAMED_VISITS, SELECT_BLAMED_VISITS)
    _make(connection, BLAMED_DAYS, SELECT_BLAMED_DAYS)
    found = connection.sql(f"SELECT CAST(dt AS VARCHAR) AS dt, session_id, rule FROM {BLAMED_DAYS}")
    return found.to_arrow_table().cast(EXCLUDED_SCHEMA)


def find_days(
    connection: duckdb.DuckDBPyConnection,
    sessions: Sequence[str],
    files: Mapping[str, Mapping[str, Sequence[str]]],
) -> pa.Table:
    """On which days sessions have an event.

    Args:
        connection: where to work.
        sessions: whose days.
        files: paths of files by raw table and day.
    """
    _seek(connection, sessions)
    _make(connection, "seen", "SELECT '' AS dt, session_id FROM sought LIMIT 0")
    for by_day in files.values():
        for dt, paths in by_day.items():
            rows = select_files(["session_id"], paths, "")
            connection.execute(
                f"INSERT INTO seen SELECT DISTINCT {quoted(dt)}, session_id FROM ({rows}) "
                "SEMI JOIN sought USING (session_id)"
            )
    return connection.sql("SELECT DISTINCT dt, session_id FROM seen").to_arrow_table()


def find_clients(
    connection: duckdb.DuckDBPyConnection, sessions: Sequence[str], paths: Sequence[str]
) -> pa.Table:
    """Who sessions come from, by the files of raw tables."""
    _seek(connection, sessions)
    columns = ["session_id", "user_id", "ip"]
    found = pa.schema([(name, pa.string()) for name in columns]).empty_table()
    if not paths:
        return found
    rows = f"SELECT DISTINCT * FROM ({select_files(columns, paths, '')}) SEMI JOIN sought"
    return connection.sql(f"{rows} USING (session_id)").to_arrow_table()


def _seek(connection: duckdb.DuckDBPyConnection, sessions: Sequence[str]) -> None:
    connection.register("given", pa.table({"session_id": pa.array(sessions, pa.string())}))
    _make(connection, "sought", "FROM given")
    connection.unregister("given")


def make_variants(
    connection: duckdb.DuckDBPyConnection, metrics: Sequence[Metric], excluded: pa.Table
) -> list[Variant]:
    """Put the variants of days in the place of the days, in every view that metrics read.

    Args:
        connection: where the views of the days are.
        metrics: what will read them.
        excluded: what ``find_blamed`` found.
    """
    pairs = zip(excluded["dt"].to_pylist(), excluded["rule"].to_pylist(), strict=True)
    variants = variants_of(pairs)
    rows = ", ".join(_as_row(variant) for variant in variants)
    _make(connection, VARIANTS, f"SELECT * FROM (VALUES {rows}) AS v (dt, rule, is_after, label)")
    _make(connection, BLAMED_ITEMS, SELECT_BLAMED_ITEMS)
    made = {view.name for view in needed_views(metrics)}
    held: dict[str, str] = {}
    for kind in EVENT_KINDS:
        columns = {name: as_column(name) for name in read_fields(kind, metrics)}
        raw_view, view = f"raw_{kind.table}", kind.table
        held[raw_view] = f"variants_of_{raw_view}"
        _make(connection, held[raw_view], select_blamed(raw_view, columns))
        if view in made:
            held[view] = f"variants_of_{view}"
            blamed, beside = select_blamed(view, columns), select_witnesses(view, columns)
            _make(connection, held[view], f"{blamed} UNION ALL {beside}")
    for view, table in held.items():
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS FROM {table}")
    _make(connection, DAYS_VIEW, f"SELECT label AS dt FROM {VARIANTS}")
    make_views_over_events(connection, metrics)
    return variants


def _make(connection: duckdb.DuckDBPyConnection, table: str, select: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {select}")


def _as_row(variant: Variant) -> str:
    after = "true" if variant.is_after else "false"
    label = as_date(variant.label)
    return f"({as_date(variant.dt)}, {quoted(variant.rule)}, {after}, {label})"
