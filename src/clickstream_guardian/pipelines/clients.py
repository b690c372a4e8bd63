"""Who flagged sessions come from: sought in the lake when the allow-list asks, and judged by."""

from __future__ import annotations

from collections.abc import Iterable

from clickstream_guardian.engines.days import MetricEngine
from clickstream_guardian.store import Store
from clickstream_guardian.store.clients import save_clients, strangers
from clickstream_guardian.store.verdicts import judge_all, judge_sessions


def settle_allowed(store: Store, engine: MetricEngine, shadow: frozenset[str]) -> int:
    """Judge by the allow-list as it now stands, then ``meet_clients``; returns what that does."""
    with store.begin() as connection:
        judge_all(connection, shadow)
    return meet_clients(store, engine, shadow)


def meet_clients(store: Store, engine: MetricEngine, shadow: Iterable[str]) -> int:
    """Look once at the days of flagged sessions for their users and addresses.

    Args:
        store: where verdicts are.
        engine: reads the lake.
        shadow: names of rules that count towards no verdict.

    Returns:
        How many sessions were found, and judged anew.
    """
    with store.begin() as connection:
        unknown = strangers(connection)
    if unknown is None:
        return 0
    found = engine.find_clients(unknown.sessions, unknown.first, unknown.last)
    with store.begin() as connection:
        known = save_clients(connection, found)
        judge_sessions(connection, known, shadow)
    return len(known)
