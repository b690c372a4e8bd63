"""Rows for the commands that look: from the database, from the lake, and as text."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from sqlalchemy import Row, select

from clickstream_guardian.cli.plain import plain
from clickstream_guardian.errors import UsageError
from clickstream_guardian.store.tables import anomaly_sessions

if TYPE_CHECKING:
    import pyarrow as pa

    from clickstream_guardian.pipelines.replay import Parts
    from clickstream_guardian.settings import Settings
    from clickstream_guardian.store import Store

FORMATS = ("table", "csv", "json")
_COLUMNS = (
    "anomaly_id",
    "rule",
    "rule_version",
    "session_id",
    "window_start",
    "window_end",
    "measures",
    "severity",
    "first_crossed_at",
    "explanation",
    "status",
)


def list_anomalies(
    store: Store,
    rule: str | None,
    session: str | None,
    since: datetime | None,
    limit: int,
    *,
    withdrawn: bool,
) -> list[dict[str, Any]]:
    """Anomalies, newest window first, as the command prints them."""
    columns = anomaly_sessions.c
    query = select(*(columns[name] for name in _COLUMNS))
    if rule is not None:
        query = query.where(columns.rule == rule)
    if session is not None:
        query = query.where(columns.session_id == session)
    if since is not None:
        query = query.where(columns.window_start >= since)
    if not withdrawn:
        query = query.where(columns.status != "withdrawn")
    query = query.order_by(columns.window_start.desc(), columns.anomaly_id.desc()).limit(limit)
    with store.begin() as connection:
        return [_as_json(row) for row in connection.execute(query)]


def find_anomaly(store: Store, anomaly_id: str) -> dict[str, Any]:
    """The one anomaly whose id begins so.

    Raises:
        UsageError: there is none, or more than one.
    """
    columns = anomaly_sessions.c
    wanted = (columns[name] for name in _COLUMNS)
    query = select(*wanted).where(columns.anomaly_id.startswith(anomaly_id, autoescape=True))
    with store.begin() as connection:
        rows = connection.execute(query.limit(2)).all()
    if not rows:
        raise UsageError(f"No anomaly has the id {anomaly_id!r}; see `guardian anomalies`.")
    if len(rows) > 1:
        raise UsageError(f"Several anomalies begin with {anomaly_id!r}; give more of the id.")
    return _as_json(rows[0])


def _as_json(row: Row[Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in row._mapping.items()}


def query_lake(settings: Settings, query: str) -> pa.Table:
    """One query over the lake's views, the anomalies and the metrics."""
    from clickstream_guardian.cli.opening import duckdb_limits, opened
    from clickstream_guardian.engines.embedded.query import QueryEngine
    from clickstream_guardian.store.readout import read_tables

    with opened(settings) as parts:
        tables = read_tables(parts.store, [metric.name for metric in parts.metrics])
        limits = duckdb_limits(settings, parts.lake)
        with QueryEngine(parts.lake, tables, limits) as engine:
            return engine.run(query)


def write_rows(rows: pa.Table, form: str) -> None:
    """Rows on standard output as a table, as CSV, or as one JSON object a line."""
    if form == "table":
        from rich.console import Console

        from clickstream_guardian.cli.screen import table

        shown = [[plain(value) for value in row.values()] for row in rows.to_pylist()]
        Console(highlight=False).print(table("", rows.column_names, shown))
        return
    records: list[Mapping[str, object]] = rows.to_pylist()
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(rows.column_names)
        writer.writerows([plain(value) for value in row.values()] for row in records)
        return
    for row in records:
        typer.echo(json.dumps({name: plain(value) for name, value in row.items()}))


def gather_status(parts: Parts) -> dict[str, Any]:
    """Reconciliation by source, the lake's positions, days that are out of date, freshness."""
    from sqlalchemy import func

    from clickstream_guardian.pipelines.daily import dirty_days
    from clickstream_guardian.pipelines.reconcile import balances
    from clickstream_guardian.store.snapshots import list_progress

    with parts.store.begin() as connection:
        newest = connection.execute(select(func.max(anomaly_sessions.c.window_end))).scalar()
        progress = list_progress(connection)
    days = [dt for table in ("clicks", "purchases") for dt in parts.lake.day_counts(table)]
    return {
        "home": str(parts.home.root),
        "database": parts.store.place,
        "sources": [
            {
                "place": balance.record.place,
                "source": balance.record.source[:12],
                "status": balance.record.status,
                "lines": balance.record.total_lines,
                "landed": balance.landed,
                "rejected": balance.rejected,
                "late": balance.record.late_count,
                "reconciled": balance.is_even,
            }
            for balance in balances(parts.store, parts.lake)
        ],
        "positions": {
            table: {f"{key.source[:12]}/{key.partition}": offset for key, offset in found.items()}
            for table in ("clicks", "purchases", "rejected")
            if (found := parts.lake.positions(table))
        },
        "first_day": min(days, default=None),
        "last_day": max(days, default=None),
        "dirty_days": [str(day) for day in dirty_days(parts.store, parts.lake)],
        "newest_anomaly": plain(newest),
        "detectors": [
            {name: value for name, value in asdict(one).items() if name != "ends"}
            | {"updated_at": plain(updated_at)}
            for one, updated_at in progress
        ],
    }
