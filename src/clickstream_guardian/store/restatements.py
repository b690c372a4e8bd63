"""What a day's numbers were before they changed, and why they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from clickstream_guardian.store.advisory import lock_days
from clickstream_guardian.store.driver import driver_connection

EVENTS, ALLOW_LIST, VERDICTS = "events", "allow_list", "verdicts"
"""Reasons: rows came in; a session is let through; any other change of who is left out."""


@dataclass(frozen=True)
class _Numbers:
    """A day as it is stored: raw and clean, and (session, rule) of those left out."""

    raw: Mapping[str, Any]
    clean: Mapping[str, Any]
    excluded: frozenset[tuple[str, str]]


@contextmanager
def restating(connection: Connection, days: Sequence[date]) -> Iterator[None]:
    """Keep what the body, which replaces days in this transaction, changes of their numbers.

    A day computed for the first time, or to the same numbers, leaves nothing.
    """
    driver = driver_connection(connection)
    lock_days(driver, "daily_metrics", days)
    before = _numbers(driver, days)
    yield
    after = _numbers(driver, days)
    for dt, old in sorted(before.items(), key=lambda one: one[0]):
        new = after.get(dt)
        if new is not None and (old.raw, old.clean) != (new.raw, new.clean):
            reasons = _reasons(driver, old, new)
            driver.execute(_KEEP, (dt, Jsonb(reasons), Jsonb(old.raw), Jsonb(old.clean)))


def _numbers(driver: psycopg.Connection, days: Sequence[date]) -> dict[date, _Numbers]:
    excluded: dict[date, set[tuple[str, str]]] = {}
    for dt, session_id, rule in driver.execute(_EXCLUDED, (list(days),)):
        excluded.setdefault(dt, set()).add((session_id, rule))
    return {
        dt: _Numbers(raw, clean, frozenset(excluded.get(dt, ())))
        for dt, raw, clean in driver.execute(_NUMBERS, (list(days),))
    }


def _reasons(driver: psycopg.Connection, old: _Numbers, new: _Numbers) -> list[str]:
    """Why a day's numbers have changed, by name."""
    reasons = set() if old.raw == new.raw else {EVENTS}
    if old.excluded != new.excluded:
        gone = {name for name, _ in old.excluded} - {name for name, _ in new.excluded}
        allowed = {name for (name,) in driver.execute(_ALLOWED, (sorted(gone),))}
        if allowed:
            reasons.add(ALLOW_LIST)
        if {one for one in old.excluded ^ new.excluded if one[0] not in allowed}:
            reasons.add(VERDICTS)
    return sorted(reasons)


_NUMBERS = """
    SELECT dt, to_jsonb(raw), to_jsonb(clean)
    FROM daily_metrics AS raw JOIN daily_metrics_clean AS clean USING (dt) WHERE dt = ANY(%s)
"""
_EXCLUDED = """
    SELECT dt, session_id, rule FROM excluded_sessions WHERE dt = ANY(%s) AND rule <> ''
"""
_KEEP = "INSERT INTO restatements (dt, reasons, raw, clean) VALUES (%s, %s, %s, %s)"
# of what an item's entry covers the anomaly still stands, and lies on allowed items alone
_ALLOWED = """
    SELECT v.session_id FROM session_verdicts AS v
    WHERE v.session_id = ANY(%s) AND (v.allowed_by IS NOT NULL OR EXISTS (
        SELECT FROM anomaly_sessions AS a
        WHERE a.session_id = v.session_id AND a.status <> 'withdrawn'
          AND a.sample -> 'item_id' <> '[]' AND a.sample -> 'item_id' <@ (
              SELECT coalesce(jsonb_agg(value), '[]') FROM allow_list WHERE kind = 'item'
          )
    ))
"""
