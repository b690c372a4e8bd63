"""Keeps the verdict on each session that ever had an anomaly, and the allow-list."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from clickstream_guardian.detector.model import Anomaly, Status
from clickstream_guardian.rules.model import Severity
from clickstream_guardian.store.advisory import Lock, lock_for_transaction
from clickstream_guardian.store.clients import clients_of
from clickstream_guardian.store.driver import driver_connection
from clickstream_guardian.verdicts import (
    AllowEntry,
    AllowKind,
    AllowList,
    Clients,
    Judgement,
    Standing,
    judge,
)

_CHUNK = 5_000  # sessions at once
_Against = Mapping[str, list[Standing]]


def settle_verdicts(
    driver: psycopg.Connection,
    touched: Sequence[Anomaly],
    allowed: AllowList,
    shadow: Container[str],
) -> None:
    """Judge the sessions of anomalies that were just written; the writers' lock is held.

    A session without a verdict had no anomaly before, so what was written is all there is; of the
    others all their anomalies are looked at.
    """
    if not touched:
        return
    given: dict[str, list[Anomaly]] = {}
    for row in touched:
        given.setdefault(row.session_id, []).append(row)
    sessions = sorted(given)
    for start in range(0, len(sessions), _CHUNK):
        part = sessions[start : start + _CHUNK]
        known = [name for (name,) in driver.execute(_KNOWN, (part,))]
        against = _stored_standing(driver, known, allowed)
        new = {name: _standing(given[name], allowed) for name in set(part) - set(known)}
        _save(driver, part, {**against, **new}, allowed, shadow)


def settle_sessions(
    driver: psycopg.Connection, sessions: Iterable[str], shadow: Container[str]
) -> None:
    """Judge sessions anew from all that is stored; the writers' lock is held."""
    names = sorted(set(sessions))
    if not names:
        return
    allowed = allow_list(driver)
    for start in range(0, len(names), _CHUNK):
        part = names[start : start + _CHUNK]
        _save(driver, part, _stored_standing(driver, part, allowed), allowed, shadow)


def judge_all(connection: Connection, shadow: Iterable[str]) -> bool:
    """Judge every session anew if the allow-list in force, or a rule's mode, has changed.

    Returns:
        Whether they had.
    """
    driver = driver_connection(connection)
    lock_for_transaction(driver, Lock.ANOMALIES)
    modes = sorted(shadow)
    policy = {"shadow": modes, "allowed": [list(row) for row in driver.execute(_IN_FORCE)]}
    found = driver.execute("SELECT value FROM status_snapshots WHERE name = 'verdicts'").fetchone()
    if found is not None and found[0] == policy:
        return False
    settle_sessions(
        driver,
        (name for (name,) in driver.execute("SELECT session_id FROM session_verdicts")),
        modes,
    )
    driver.execute(_NOTE, (Jsonb(policy),))
    return True


def judge_sessions(connection: Connection, sessions: Iterable[str], shadow: Iterable[str]) -> None:
    """Judge some sessions anew."""
    driver = driver_connection(connection)
    lock_for_transaction(driver, Lock.ANOMALIES)
    settle_sessions(driver, sessions, frozenset(shadow))


def save_allowed(connection: Connection, entry: AllowEntry) -> None:
    """Add an entry, or replace the one of the same kind and value."""
    values = (str(entry.kind), entry.value, entry.reason, entry.until_at)
    driver_connection(connection).execute(_ALLOW, values)


def remove_allowed(connection: Connection, kind: AllowKind, value: str) -> bool:
    """Remove an entry: whether there was one."""
    removed = driver_connection(connection).execute(
        "DELETE FROM allow_list WHERE kind = %s AND value = %s", (str(kind), value)
    )
    return removed.rowcount > 0


def list_allowed(connection: Connection) -> list[AllowEntry]:
    """Every entry, those that have expired too, by kind and value."""
    found = driver_connection(connection).execute(
        "SELECT kind, value, reason, until_at FROM allow_list ORDER BY kind, value"
    )
    return [_entry(row) for row in found]


def allow_list(driver: psycopg.Connection) -> AllowList:
    """The entries in force."""
    return AllowList(_entry((*row, None)) for row in driver.execute(_IN_FORCE))


def _entry(row: tuple[Any, ...]) -> AllowEntry:
    return AllowEntry(AllowKind(row[0]), row[1], row[2], row[3])


def _standing(anomalies: Iterable[Anomaly], allowed: AllowList) -> list[Standing]:
    """What each rule holds against the session of these anomalies."""
    found: dict[str, Standing] = {}
    for row in anomalies:
        if row.status == Status.WITHDRAWN or allowed.covers(row.sample.item_ids):
            continue
        severity, at = Severity[str(row.severity).upper()], row.first_crossed_at
        known = found.get(row.rule, Standing(row.rule, severity, at, at))
        found[row.rule] = Standing(
            row.rule,
            max(severity, known.severity),
            min(at, known.first_at),
            max(at, known.last_at),
        )
    return list(found.values())


def _stored_standing(
    driver: psycopg.Connection, sessions: Sequence[str], allowed: AllowList
) -> _Against:
    against: dict[str, list[Standing]] = {}
    if sessions:
        values = {"sessions": sessions, "items": Jsonb(sorted(allowed.items))}
        rows = driver.execute(_STANDING, values)
        for session_id, rule, severity, first_at, last_at in rows:
            one = Standing(rule, Severity(severity), first_at, last_at)
            against.setdefault(session_id, []).append(one)
    return against


def _save(
    driver: psycopg.Connection,
    sessions: Sequence[str],
    against: _Against,
    allowed: AllowList,
    shadow: Container[str],
) -> None:
    clients = clients_of(driver, sessions) if allowed.asks_for_clients else {}
    reasons = {name: allowed.reason(name, clients.get(name, Clients())) for name in sessions}
    rows = [_row(name, judge(against.get(name, ()), shadow, reasons[name])) for name in sessions]
    driver.execute(_SAVE, (json.dumps(rows),))


def _row(session_id: str, found: Judgement) -> Mapping[str, object]:
    return {
        "session_id": session_id,
        "verdict": str(found.verdict),
        "score": found.score,
        "rules": found.rules,
        "first_flagged_at": _text(found.first_flagged_at),
        "last_flagged_at": _text(found.last_flagged_at),
        "allowed_by": found.allowed_by,
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


_KNOWN = "SELECT session_id FROM session_verdicts WHERE session_id = ANY(%s)"
_IN_FORCE = """
    SELECT kind, value, reason FROM allow_list
    WHERE until_at IS NULL OR until_at > now() ORDER BY kind, value
"""
_ALLOW = """
    INSERT INTO allow_list (kind, value, reason, until_at) VALUES (%s, %s, %s, %s)
    ON CONFLICT (kind, value) DO UPDATE SET
        reason = excluded.reason, until_at = excluded.until_at, added_at = now()
"""
# an empty sample lies on no item, as ``AllowList.covers`` has it
_STANDING = """
    SELECT session_id, rule,
           max(array_position(ARRAY['low', 'medium', 'high', 'critical'], severity)),
           min(first_crossed_at), max(first_crossed_at)
    FROM anomaly_sessions AS a CROSS JOIN (SELECT %(items)s::jsonb AS items) AS allowed
    WHERE session_id = ANY(%(sessions)s) AND status <> 'withdrawn'
      AND (items = '[]' OR NOT (sample -> 'item_id' <@ items) OR sample -> 'item_id' = '[]')
    GROUP BY session_id, rule
"""
_SAVE = """
    INSERT INTO session_verdicts AS stored (session_id, verdict, score, rules,
        first_flagged_at, last_flagged_at, allowed_by)
    SELECT session_id, verdict, score, rules, first_flagged_at, last_flagged_at, allowed_by
    FROM jsonb_to_recordset(%s::jsonb) AS given (session_id text, verdict text,
        score double precision, rules jsonb, first_flagged_at timestamptz,
        last_flagged_at timestamptz, allowed_by text)
    ON CONFLICT (session_id) DO UPDATE SET
        verdict = excluded.verdict, score = excluded.score, rules = excluded.rules,
        first_flagged_at = excluded.first_flagged_at, last_flagged_at = excluded.last_flagged_at,
        allowed_by = excluded.allowed_by, updated_at = now(),
        revision = stored.revision + (
            (stored.verdict, stored.rules, stored.first_flagged_at, stored.allowed_by, stored.score)
            IS DISTINCT FROM (excluded.verdict, excluded.rules, excluded.first_flagged_at,
                              excluded.allowed_by, excluded.score))::integer
    WHERE (stored.verdict, stored.rules, stored.first_flagged_at, stored.allowed_by, stored.score,
           stored.last_flagged_at)
        IS DISTINCT FROM (excluded.verdict, excluded.rules, excluded.first_flagged_at,
                          excluded.allowed_by, excluded.score, excluded.last_flagged_at)
"""
_NOTE = """
    INSERT INTO status_snapshots (name, value) VALUES ('verdicts', %s)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()
"""
