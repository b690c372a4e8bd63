"""The slow, obvious oracle: the meaning of a rule in plain Python, event by event.

It shares no code with the detector but the rule model and the identity hash.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from clickstream_guardian.events.identity import anomaly_id
from clickstream_guardian.rules.model import Count, Distinct, Ratio, Rule

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
        windows: dict[tuple[str, Micros], list[OracleEvent]] = defaultdict(list)
        for event in distinct.values():
            start = event.at // rule.window.every_us * rule.window.every_us
            while start + rule.window.size_us > event.at:
                windows[event.session_id, start].append(event)
                start -= rule.window.every_us
        for (session_id, start), contents in windows.items():
            contents.sort(key=lambda event: (event.at, event.event_id))
            if holds(rule, measure(rule, contents)):
                found.append(_anomaly(rule, session_id, start, contents, sample_size))
    return sorted(found, key=lambda anomaly: anomaly.anomaly_id)


def measure(rule: Rule, events: list[OracleEvent]) -> dict[str, float]:
    """Every measure of the rule on the given events."""
    values: dict[str, float] = {}
    for name, kind in rule.measures.items():
        if isinstance(kind, Count):
            values[name] = len(events)
        elif isinstance(kind, Distinct):
            values[name] = len({getattr(event, kind.field) for event in events})
        elif isinstance(kind, Ratio):
            values[name] = values[kind.numerator] / values[kind.denominator]
    return values


def holds(rule: Rule, measured: dict[str, float]) -> bool:
    """Whether every threshold is met."""
    return all(threshold.holds(measured[name]) for name, threshold in rule.when.items())


def _anomaly(
    rule: Rule, session_id: str, start: Micros, contents: list[OracleEvent], sample_size: int
) -> OracleAnomaly:
    crossing = next(
        contents[n - 1]
        for n in range(1, len(contents) + 1)
        if holds(rule, measure(rule, contents[:n]))
    )
    return OracleAnomaly(
        anomaly_id=anomaly_id(rule.name, rule.version, session_id, start),
        rule=rule.name,
        session_id=session_id,
        start=start,
        measures=tuple(measure(rule, contents).items()),
        event_count=len(contents),
        crossed_at=crossing.at,
        crossed_id=crossing.event_id,
        sample_ids=tuple(event.event_id for event in contents[:sample_size]),
    )
