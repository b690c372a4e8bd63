"""What a day's numbers were before they changed, and why they did."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from clickstream_guardian.store.advisory import lock_days
from clickstream_guardian.store.driver import driver_connection

EVENTS, ALLOW_LIST, RULE_VERSION, VERDICTS = "events", "allow_list", "rule_version", "verdicts"
"""Reasons: rows came in; a session is let through; a rule of another version than the one the
numbers were made under found something; any other change of who is left out."""

Versions = Mapping[str, int]
"""The version of each rule, by name."""


@dataclass(frozen=True)
class _Numbers:
    """A day as it is stored: raw and clean, (session, rule) of those left out, under which rules.

    Of a day that an earlier version computed the rules' versions are not known.
    """

    raw: Mapping[str, Any]
    clean: Mapping[str, Any]
    excluded: frozenset[tuple[str, str]]
    versions: Versions


@contextmanager
def restating(connection: Connection, days: Sequence[date], versions: Versions) -> Iterator[None]:
    """Keep what the body, which replaces days in this transaction, changes of their numbers.

    A day computed for the first time, or to the same numbers, leaves nothing. ``versions`` are
    those of the rules that verdicts now rest on; they are noted with the days.
    """
    driver = driver_connection(connection)
    lock_days(driver, "daily_metrics", days)
    before = _numbers(driver, days)
    yield
    if versions:
        driver.execute(_NOTE, (list(days), Jsonb(dict(versions))))
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
        dt: _Numbers(raw, clean, frozenset(excluded.get(dt, ())), versions)
        for dt, raw, clean, versions in driver.execute(_NUMBERS, (list(days),))
    }


def _reasons(driver: psycopg.Connection, old: _Numbers, new: _Numbers) -> list[str]:
    """Why a day's numbers have changed, by name."""
    reasons = set() if old.raw == new.raw else {EVENTS}
    if old.excluded != new.excluded:
        gone = {name for name, _ in old.excluded} - {name for name, _ in new.excluded}
        allowed = {name for (name,) in driver.execute(_ALLOWED, (sorted(gone),))}
        if allowed:
            reasons.add(ALLOW_LIST)
        moved = {name for name, _ in old.excluded ^ new.excluded} - allowed
        by_version = _found_anew(driver, moved, old.versions, new.versions)
        if by_version:
            reasons.add(RULE_VERSION)
        if moved - by_version:
            reasons.add(VERDICTS)
    return sorted(reasons)


def _found_anew(
    driver: psycopg.Connection, sessions: Collection[str], old: Versions, new: Versions
) -> set[str]:
    """The sessions of which a rule found something in a version that the day did not know."""
    raised = {rule: version for rule, version in new.items() if old.get(rule, version) != version}
    if not raised or not sessions:
        return set()
    values = (list(raised), list(raised.values()), sorted(sessions))
    return {name for (name,) in driver.execute(_FOUND_ANEW, values)}


_NUMBERS = """
    SELECT dt, to_jsonb(raw), to_jsonb(clean), coalesce(versions, '{}')
    FROM daily_metrics AS raw JOIN daily_metrics_clean AS clean USING (dt)
    LEFT JOIN day_rules USING (dt) WHERE dt = ANY(%s)
"""
_NOTE = """
    INSERT INTO day_rules (dt, versions) SELECT unnest(%s::date[]), %s
    ON CONFLICT (dt) DO UPDATE SET versions = excluded.versions
"""
_FOUND_ANEW = """
    SELECT DISTINCT session_id FROM anomaly_sessions
    JOIN unnest(%s::text[], %s::integer[]) AS raised (rule, rule_version)
        USING (rule, rule_version)
    WHERE session_id = ANY(%s) AND status <> 'withdrawn'
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
