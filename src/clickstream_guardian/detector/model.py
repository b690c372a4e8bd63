"""What the detector returns: an anomaly with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """How settled an anomaly is."""

    OPEN = "open"  # the condition holds on what has come so far
    FINAL = "final"  # it held on the window's full contents
    WITHDRAWN = "withdrawn"  # it held once, and no longer did at close


@dataclass(frozen=True)
class Anomaly:
    """One session that one rule found abusive in one window.

    Attributes:
        anomaly_id: 32 hex digits, the hash of rule, version, key and declared window start.
        measures: measured values by name, beside ``thresholds`` in the rule's own words.
        event_count: distinct events of the session in the window.
        first_crossed_at: time of the first event, in (occurred_at, event_id) order, with which
            the condition held; ``crossed_event_id`` is its id in hex.
        sample_at: times, items and ids (parallel) of the first events in the same order.
    """

    anomaly_id: str
    rule: str
    rule_version: int
    severity: str
    session_id: str
    window_start: datetime
    window_end: datetime
    status: str
    measures: Mapping[str, int | float]
    thresholds: Mapping[str, str]
    event_count: int
    first_crossed_at: datetime
    crossed_event_id: str
    explanation: str
    sample_at: tuple[datetime, ...]
    sample_items: tuple[str, ...]
    sample_ids: tuple[str, ...]
