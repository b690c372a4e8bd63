"""Writes anomalies: the same anomaly written twice is one row, and no change is recorded."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString, NamedTuple

import numpy as np
import polars as pl
import psycopg
import xxhash
from psycopg import sql
from sqlalchemy import Connection

from clickstream_guardian.detector.model import Anomaly, Status
from clickstream_guardian.events.identity import ids_as_hex
from clickstream_guardian.store.advisory import Lock, lock_for_transaction
from clickstream_guardian.store.driver import driver_connection
from clickstream_guardian.store.verdicts import allow_list, settle_sessions, settle_verdicts

_NO_SAMPLE = '{"occurred_at":[],"item_id":[],"event_id":[]}'
_CHUNK = 5_000  # anomalies whose text is held in memory at once
_COLUMNS = (
    *("anomaly_id", "rule", "rule_version", "severity", "session_id"),
    *("window_start", "window_end", "status", "measures", "thresholds", "event_count"),
    *("first_crossed_at", "crossed_event_id", "explanation", "sample"),
    "fingerprint",
)

_Key = tuple[datetime, str]


@dataclass(frozen=True)
class UpsertCounts:
    """What an upsert did, in rows."""

    inserted: int
    changed: int
    unchanged: int

    def __add__(self, other: UpsertCounts) -> UpsertCounts:
        """Both together."""
        return UpsertCounts(
            self.inserted + other.inserted,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
        )


def upsert_anomalies(
    connection: Connection,
    anomalies: Mapping[str, Iterable[Anomaly]],
    shadow: Container[str] = (),
) -> UpsertCounts:
    """Insert anomalies, or replace those that differ, in the caller's transaction.

    The verdicts on their sessions follow. Of an anomaly given twice the last holds. Writers wait
    for each other until their transactions end, so that change ids become visible in their order;
    write anomalies before other rows.

    Args:
        connection: where.
        anomalies: what was found, by the checkpoint's group that says so; it alone may withdraw
            them as forgotten.
        shadow: names of rules that count towards no verdict.
    """
    given = {_key(row): (row, group) for group, found in anomalies.items() for row in found}
    rows = [row for row, _ in given.values()]
    groups = {key: group for key, (_, group) in given.items()}
    counts = UpsertCounts(0, 0, 0)
    if not rows:
        return counts
    driver = driver_connection(connection)
    lock_for_transaction(driver, Lock.ANOMALIES)
    _ensure_partitions(driver, (row.window_start for row in rows))
    moving: list[Anomaly] = []
    allowed = allow_list(driver)
    for start in range(0, len(rows), _CHUNK):
        done, moved = _upsert(driver, rows[start : start + _CHUNK], groups)
        counts += done
        moving += moved
    if allowed.items:  # a sample that grows may move a verdict too
        moving = rows
    settle_verdicts(driver, moving, allowed, shadow)
    return counts


def withdraw_forgotten(
    connection: Connection,
    settled_at: Mapping[str, datetime | None],
    shadow: Container[str] = (),
) -> int:
    """Withdraw groups' previews whose windows have closed without a word from their detectors.

    After a crash the detector rebuilds its windows and may find that one it had announced no
    longer holds; such a row would stay ``open`` for ever.

    Args:
        connection: where; in the caller's transaction, after its upsert.
        settled_at: by group; every window of it that ends by then is final, of None none is.
        shadow: names of rules that count towards no verdict.

    Returns:
        How many rows were withdrawn.
    """
    settled = [(group, at) for group, at in settled_at.items() if at is not None]
    if not settled:
        return 0
    driver = driver_connection(connection)
    lock_for_transaction(driver, Lock.ANOMALIES)
    withdrawn = [name for (name,) in driver.execute(_WITHDRAW, _columns(settled))]
    settle_sessions(driver, withdrawn, shadow)
    return len(withdrawn)


def _upsert(
    driver: psycopg.Connection, anomalies: Sequence[Anomaly], groups: Mapping[_Key, str]
) -> tuple[UpsertCounts, list[Anomaly]]:
    """Write what is new or differs; the writers' lock is held, so nobody comes between.

    A fingerprint beside each row tells whether it differs, without reading its sample.

    Returns:
        What was done, and of the rows written those that may move a verdict: a preview that only
        grows does not, so a session that runs wild is not judged at every step.
    """
    stored = _stored(driver, anomalies)
    values = {
        _key(row): _values(row, sample)
        for row, sample in zip(anomalies, samples_json(anomalies), strict=True)
    }
    new = [row for row in anomalies if _key(row) not in stored]
    known = [row for row in anomalies if _key(row) in stored]
    changed = [row for row in known if values[_key(row)][-1] != stored[_key(row)].fingerprint]
    if new:
        _copy(driver, _COPY_NEW, ((*values[_key(row)], groups[_key(row)]) for row in new))
    if changed:
        driver.execute(_DELETE, _key_arrays(changed))
        dated = ((*values[key], groups[key], stored[key].detected_at) for key in map(_key, changed))
        _copy(driver, _COPY_CHANGED, dated)
    counts = UpsertCounts(len(new), len(changed), len(known) - len(changed))
    return counts, new + [row for row in changed if _weight(row) != stored[_key(row)].weight]


class _Stored(NamedTuple):
    fingerprint: bytes
    detected_at: datetime
    weight: tuple[object, ...]


def _stored(driver: psycopg.Connection, anomalies: Iterable[Anomaly]) -> Mapping[_Key, _Stored]:
    found = driver.execute(_SELECT, _key_arrays(anomalies))
    return {(row[0], row[1]): _Stored(row[2], row[3], row[4:]) for row in found}


def _weight(anomaly: Anomaly) -> tuple[object, ...]:
    """What of it counts towards a verdict; ``_SELECT`` ends with the same."""
    return (
        anomaly.status == Status.WITHDRAWN,
        str(anomaly.severity),
        anomaly.first_crossed_at,
    )


def _key(anomaly: Anomaly) -> _Key:
    return anomaly.window_start, anomaly.anomaly_id


def _key_arrays(anomalies: Iterable[Anomaly]) -> list[list[object]]:
    return _columns(map(_key, anomalies))


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _copy(
    driver: psycopg.Connection, statement: LiteralString, rows: Iterable[tuple[object, ...]]
) -> None:
    """Copy straight into the table; each row is made while the server takes in the one before."""
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _values(anomaly: Anomaly, sample: str) -> tuple[object, ...]:
    """The values of ``_COLUMNS``, JSON as text, and the fingerprint of them all."""
    values = (
        anomaly.anomaly_id,
        anomaly.rule,
        anomaly.rule_version,
        str(anomaly.severity),
        anomaly.session_id,
        anomaly.window_start,
        anomaly.window_end,
        str(anomaly.status),
        json.dumps(dict(anomaly.measures), sort_keys=True),
        json.dumps(dict(anomaly.thresholds), sort_keys=True),
        anomaly.event_count,
        anomaly.first_crossed_at,
        anomaly.crossed_event_id,
        anomaly.explanation,
        sample,
    )
    return (*values, xxhash.xxh3_128_digest("\0".join(map(str, values)).encode()))


def samples_json(anomalies: Sequence[Anomaly]) -> list[str]:
    """Each anomaly's sample as JSON of three parallel lists, made for all of them at once."""
    lengths = [len(anomaly.sample) for anomaly in anomalies]
    events = pl.concat([anomaly.sample.events for anomaly in anomalies])
    texts = (
        events.select(
            number=pl.Series(np.repeat(np.arange(len(lengths)), lengths)),
            occurred_at=pl.from_epoch("at", "us").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"),
            item_id="item_id",
            event_id=ids_as_hex(events["event_id"]),
        )
        .group_by("number", maintain_order=True)
        .agg("occurred_at", "item_id", "event_id")
        .select("number", json=pl.struct(pl.exclude("number")).struct.json_encode())
    )
    found = dict(texts.iter_rows())
    return [found.get(number, _NO_SAMPLE) for number in range(len(lengths))]


# --- partitions


def make_partitions(connection: Connection, instants: Iterable[datetime]) -> list[str]:
    """Make the partitions of the months of some instants ahead of their rows; idempotent.

    Returns:
        The names of those that were not there.
    """
    driver = driver_connection(connection)
    lock_for_transaction(driver, Lock.ANOMALIES)
    return _ensure_partitions(driver, instants)


def _ensure_partitions(driver: psycopg.Connection, instants: Iterable[datetime]) -> list[str]:
    """Make the missing partitions of these months; the caller holds the writers' lock.

    A partition is made apart and attached: making it in place would lock out every reader.
    """
    made = []
    for month in sorted({_month(at) for at in instants}):
        name = f"anomaly_sessions_{month:%Y_%m}"
        found = driver.execute("SELECT to_regclass(%s)", (name,)).fetchone()
        if found == (None,):
            _make_partition(driver, name, month)
            made.append(name)
    return made


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

_KEYS = "unnest(%s::timestamptz[], %s::text[]) AS given (window_start, anomaly_id)"
_SELECT = f"""
    SELECT window_start, anomaly_id, fingerprint, detected_at, status = 'withdrawn', severity,
           first_crossed_at
    FROM {_KEYS} JOIN anomaly_sessions USING (window_start, anomaly_id)
"""
_DELETE = f"""
    DELETE FROM anomaly_sessions AS stored USING {_KEYS}
    WHERE (stored.window_start, stored.anomaly_id) = (given.window_start, given.anomaly_id)
"""
_COPY_NEW = f"COPY anomaly_sessions ({', '.join(_COLUMNS)}, detected_by) FROM STDIN"
_COPY_CHANGED = (
    f"COPY anomaly_sessions ({', '.join(_COLUMNS)}, detected_by, detected_at) FROM STDIN"
)
# the empty fingerprint lets a later upsert of the very same preview open the row again
_WITHDRAW = """
    UPDATE anomaly_sessions AS stored
    SET status = 'withdrawn', fingerprint = '', updated_at = now(),
        change_id = nextval('anomaly_changes')
    FROM unnest(%s::text[], %s::timestamptz[]) AS settled (detected_by, at)
    WHERE stored.status = 'open' AND stored.window_end <= settled.at
      AND stored.detected_by = settled.detected_by
    RETURNING stored.session_id
"""
