"""Writes anomalies: the same anomaly written twice is one row, and no change is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.store.advisory import Lock, lock_for_transaction
from clickstream_guardian.store.driver import driver_connection

_FEW = 200  # rows up to which arrays in one statement are faster than COPY

_COLUMNS = {
    "anomaly_id": "text",
    "rule": "text",
    "rule_version": "integer",
    "severity": "text",
    "session_id": "text",
    "window_start": "timestamptz",
    "window_end": "timestamptz",
    "status": "text",
    "measures": "jsonb",
    "thresholds": "jsonb",
    "event_count": "bigint",
    "first_crossed_at": "timestamptz",
    "crossed_event_id": "text",
    "explanation": "text",
    "sample": "jsonb",
}
_KEY = ("window_start", "anomaly_id")
_VALUES = tuple(name for name in _COLUMNS if name not in _KEY)


@dataclass(frozen=True)
class UpsertCounts:
    """What an upsert did, in rows."""

    inserted: int
    changed: int
    unchanged: int


def upsert_anomalies(connection: Connection, anomalies: Iterable[Anomaly]) -> UpsertCounts:
    """Insert anomalies, or update those that differ, in the caller's transaction.

    Of an anomaly given twice the last holds. Writers wait for each other until their transactions
    end, so that change ids become visible in their order; write anomalies before other rows.
    """
    rows = list({(a.window_start, a.anomaly_id): a for a in anomalies}.values())
    if not rows:
        return UpsertCounts(0, 0, 0)
    driver = driver_connection(connection)
    lock_for_transaction(driver, Lock.ANOMALIES)
    _ensure_partitions(driver, rows)
    inserted, written = (_upsert_few if len(rows) <= _FEW else _upsert_many)(driver, rows)
    return UpsertCounts(inserted, written - inserted, len(rows) - written)


def _upsert_few(driver: psycopg.Connection, rows: Sequence[Anomaly]) -> tuple[int, int]:
    columns = [list(column) for column in zip(*map(_row, rows), strict=True)]
    return _counts(driver.execute(_UPSERT_ARRAYS, columns))


def _upsert_many(driver: psycopg.Connection, rows: Sequence[Anomaly]) -> tuple[int, int]:
    driver.execute(_CREATE_STAGED)
    with driver.cursor() as cursor, cursor.copy("COPY staged FROM STDIN") as copy:
        for anomaly in rows:
            copy.write_row(_row(anomaly))
    counts = _counts(driver.execute(_UPSERT_STAGED))
    driver.execute("DROP TABLE staged")
    return counts


def _counts(cursor: psycopg.Cursor[tuple[int, ...]]) -> tuple[int, int]:
    found = cursor.fetchone()
    assert found is not None
    return found[0], found[1]


def _row(anomaly: Anomaly) -> tuple[object, ...]:
    """The values of ``_COLUMNS``, in order; JSON as text."""
    return (
        anomaly.anomaly_id,
        anomaly.rule,
        anomaly.rule_version,
        str(anomaly.severity),
        anomaly.session_id,
        anomaly.window_start,
        anomaly.window_end,
        str(anomaly.status),
        json.dumps(dict(anomaly.measures)),
        json.dumps(dict(anomaly.thresholds)),
        anomaly.event_count,
        anomaly.first_crossed_at,
        anomaly.crossed_event_id,
        anomaly.explanation,
        _sample(anomaly),
    )


def _sample(anomaly: Anomaly) -> str:
    """The sample as JSON of three parallel lists, written by hand: there may be millions."""
    if not anomaly.sample_at:
        return '{"occurred_at": [], "item_id": [], "event_id": []}'
    times = '","'.join([at.isoformat() for at in anomaly.sample_at]).replace("+00:00", "Z")
    ids = '","'.join(anomaly.sample_ids)
    items = json.dumps(anomaly.sample_items)
    return f'{{"occurred_at":["{times}"],"item_id":{items},"event_id":["{ids}"]}}'


# --- partitions


def _ensure_partitions(driver: psycopg.Connection, rows: Iterable[Anomaly]) -> None:
    """Make the partitions of the months the rows fall into; the caller holds the writers' lock.

    A partition is made apart and attached: making it in place would lock out every reader.
    """
    for month in sorted({_month(row.window_start) for row in rows}):
        name = f"anomaly_sessions_{month:%Y_%m}"
        found = driver.execute("SELECT to_regclass(%s)", (name,)).fetchone()
        if found == (None,):
            _make_partition(driver, name, month)


def _make_partition(driver: psycopg.Connection, name: str, month: datetime) -> None:
    following = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    table = sql.Identifier(name)
    driver.execute(
        sql.SQL(
            "CREATE TABLE {} (LIKE anomaly_sessions INCLUDING DEFAULTS INCLUDING CONSTRAINTS "
            "INCLUDING STORAGE)"
        ).format(table)
    )
    driver.execute(
        sql.SQL(
            "ALTER TABLE anomaly_sessions ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})"
        ).format(table, sql.Literal(month), sql.Literal(following))
    )


def _month(at: datetime) -> datetime:
    at = at.astimezone(UTC)
    return datetime(at.year, at.month, 1, tzinfo=UTC)


# --- statements


def _statement(source: str) -> str:
    columns = ", ".join(_COLUMNS)
    changes = ", ".join(f"{name} = excluded.{name}" for name in (*_VALUES, "change_id"))
    ours = ", ".join(f"anomaly_sessions.{name}" for name in _VALUES)
    theirs = ", ".join(f"excluded.{name}" for name in _VALUES)
    return f"""
        WITH given AS MATERIALIZED (SELECT {columns} FROM {source}),
        written AS (
            INSERT INTO anomaly_sessions ({columns}) SELECT {columns} FROM given
            ON CONFLICT ({", ".join(_KEY)}) DO UPDATE SET {changes}, updated_at = now()
            WHERE ({ours}) IS DISTINCT FROM ({theirs})
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM given)
             - (SELECT count(*) FROM given JOIN anomaly_sessions USING ({", ".join(_KEY)})),
               (SELECT count(*) FROM written)
    """


def _arrays() -> Iterator[str]:
    for kind in _COLUMNS.values():
        # JSON comes as text: an array of it needs no wrapping of the values
        yield "%s::text[]::jsonb[]" if kind == "jsonb" else f"%s::{kind}[]"


_UPSERT_ARRAYS = _statement(f"unnest({', '.join(_arrays())}) AS staged ({', '.join(_COLUMNS)})")
_UPSERT_STAGED = _statement("staged")
_CREATE_STAGED = (
    "CREATE TEMPORARY TABLE staged ("
    + ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    + ") ON COMMIT DROP"
)
