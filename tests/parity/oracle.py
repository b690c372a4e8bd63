"""The slow, obvious oracle: the meaning of a rule in plain Python, event by event.

It shares no code with the detector but the rule model and the identity hash.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from clickstream_guardian.events.identity import anomaly_id
from clickstream_guardian.rules.model import (
    Count,
    Distinct,
    Gap,
    Measure,
    MemberCount,
    Ratio,
    Rule,
    Steps,
    Threshold,
)

Micros = int


@dataclass(frozen=True)
class OracleEvent:
    """One arrival: where it came from, in partition order, and what it says."""

    partition: int
    session_id: str
    at: Micros
    item_id: str
    event_id: int


@dataclass(frozen=True)
class OracleAnomaly:
    """A final row as far as two engines must agree on it."""

    anomaly_id: str
    rule: str
    session_id: str
    start: Micros
    measures: tuple[tuple[str, float], ...]
    event_count: int
    crossed_at: Micros
    crossed_id: int
    sample_ids: tuple[int, ...]


def in_time(events: list[OracleEvent], lateness_us: int) -> list[OracleEvent]:
    """Events that are not late by the order of their own partition."""
    newest: dict[int, Micros] = {}
    kept = []
    for event in events:
        before = newest.get(event.partition)
        if before is None or event.at >= before - lateness_us:
            kept.append(event)
        newest[event.partition] = event.at if before is None else max(before, event.at)
    return kept


def final_anomalies(
    rules: tuple[Rule, ...], events: list[OracleEvent], lateness_us: int, sample_size: int
) -> list[OracleAnomaly]:
    """All final rows, by id."""
    distinct = {event.event_id: event for event in reversed(in_time(events, lateness_us))}
    found = []
    for rule in rules:
        windows: dict[Micros, dict[str, list[OracleEvent]]] = defaultdict(lambda: defaultdict(list))
        for event in distinct.values():
            start = event.at // rule.window.every_us * rule.window.every_us
            while start + rule.window.size_us > event.at:
                windows[start][event.session_id].append(event)
                start -= rule.window.every_us
        for start, sessions in windows.items():
            for contents in sessions.values():
                contents.sort(key=lambda event: (event.at, event.event_id))
            blame = _session_rule if rule.members is None else _crowd_rule
            found += [
                _anomaly(rule, key, session_id, start, values, sessions[session_id], sample_size)
                for key, session_id, values in blame(rule, sessions)
            ]
    return sorted(found, key=lambda anomaly: anomaly.anomaly_id)


Blame = Iterator[tuple[str, str, dict[str, float]]]
"""Key, session and measured values of each session a rule blames in a window."""


def _session_rule(rule: Rule, sessions: dict[str, list[OracleEvent]]) -> Blame:
    for session_id, contents in sessions.items():
        values = measure(rule.measures, contents)
        if holds(rule.when, values):
            yield session_id, session_id, values


def _crowd_rule(rule: Rule, sessions: dict[str, list[OracleEvent]]) -> Blame:
    assert rule.members is not None
    keyed: dict[str, list[str]] = defaultdict(list)
    for session_id, contents in sessions.items():
        for key in _keys(rule.key, contents):
            keyed[key].append(session_id)
    members = {
        session_id
        for session_id, contents in sessions.items()
        if holds(rule.members.when, measure(rule.members.measures, contents))
    }
    for key, belonging in keyed.items():
        events = [event for session_id in belonging for event in sessions[session_id]]
        if rule.key == "item_id":
            events = [event for event in events if event.item_id == key]
        blamed = [session_id for session_id in belonging if session_id in members]
        values: dict[str, float] = {}
        for name, kind in rule.measures.items():
            if isinstance(kind, Count):
                values[name] = len(events)
            elif isinstance(kind, Distinct):
                values[name] = len(belonging)
            elif isinstance(kind, MemberCount):
                values[name] = len(blamed)
            elif isinstance(kind, Ratio):
                values[name] = values[kind.numerator] / values[kind.denominator]
        if holds(rule.when, values):
            yield from ((key, session_id, values) for session_id in blamed)


def _keys(key: str, contents: list[OracleEvent]) -> set[str]:
    items = {event.item_id for event in contents}
    if key == "item_id":
        return items
    return {",".join(sorted(items))} if key == "item_set" else {"site"}


def measure(measures: Mapping[str, Measure], events: list[OracleEvent]) -> dict[str, float]:
    """Every measure on the given events of one session, in order."""
    values: dict[str, float] = {}
    pairs = list(pairwise(events))
    for name, kind in measures.items():
        if isinstance(kind, Count):
            values[name] = len(events)
        elif isinstance(kind, Distinct):
            values[name] = len({getattr(event, kind.field) for event in events})
        elif isinstance(kind, Steps):
            up = kind.kind == "up"
            values[name] = sum(
                b.item_id > a.item_id if up else b.item_id != a.item_id for a, b in pairs
            )
        elif isinstance(kind, Gap):
            gaps = sorted(max(1, b.at - a.at) for a, b in pairs)
            rank = max(1, math.ceil(len(gaps) * kind.quantile))
            values[name] = gaps[rank - 1] / 1e6 if gaps else math.nan
        elif isinstance(kind, Ratio):
            values[name] = values[kind.numerator] / values[kind.denominator]
    return values


def holds(when: Mapping[str, Threshold], measured: dict[str, float]) -> bool:
    """Whether every threshold is met."""
    return all(threshold.holds(measured[name]) for name, threshold in when.items())


def _anomaly(
    rule: Rule,
    key: str,
    session_id: str,
    start: Micros,
    values: dict[str, float],
    contents: list[OracleEvent],
    sample_size: int,
) -> OracleAnomaly:
    said = rule.members or rule
    crossing = next(
        contents[n - 1]
        for n in range(1, len(contents) + 1)
        if holds(said.when, measure(said.measures, contents[:n]))
    )
    named = session_id if rule.members is None else f"{key}\x1f{session_id}"
    return OracleAnomaly(
        anomaly_id=anomaly_id(rule.name, rule.version, named, start),
        rule=rule.name,
        session_id=session_id,
        start=start,
        measures=tuple(values.items()),
        event_count=len(contents),
        crossed_at=crossing.at,
        crossed_id=crossing.event_id,
        sample_ids=tuple(event.event_id for event in contents[:sample_size]),
    )
