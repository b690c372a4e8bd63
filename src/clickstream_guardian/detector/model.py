"""What the detector returns: an anomaly with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Self

import polars as pl

SAMPLE_SCHEMA: dict[str, pl.DataType] = {
    "at": pl.Int64(),
    "item_id": pl.String(),
    "event_id": pl.UInt128(),
}


class Status(StrEnum):
    """How settled an anomaly is."""

    OPEN = "open"  # the condition holds on what has come so far
    FINAL = "final"  # it held on the window's full contents
    WITHDRAWN = "withdrawn"  # it held once, and no longer did at close


@dataclass(frozen=True, eq=False)
class Sample:
    """The first events of a window as columns: there may be millions, and few are ever looked at.

    Attributes:
        events: columns ``at`` (microseconds since the epoch), ``item_id`` and ``event_id``, in
            (at, event_id) order.
    """

    events: pl.DataFrame

    @classmethod
    def of(cls, at: Sequence[int], item_ids: Sequence[str], event_ids: Sequence[int]) -> Self:
        """A sample of parallel lists."""
        columns = {"at": at, "item_id": item_ids, "event_id": event_ids}
        return cls(pl.DataFrame(columns, SAMPLE_SCHEMA))

    def __len__(self) -> int:
        return len(self.events)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sample):
            return NotImplemented
        return self is other or self.events.equals(other.events)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def last_us(self) -> int:
        """The time of the last event."""
        return int(self.events["at"][-1])

    @property
    def item_ids(self) -> list[str]:
        """The item of each event."""
        return self.events["item_id"].to_list()

    @property
    def event_ids(self) -> list[int]:
        """The id of each event."""
        return self.events["event_id"].to_list()


@dataclass(frozen=True)
class Anomaly:
    """One session that one rule found abusive in one window.

    Attributes:
        anomaly_id: 32 hex digits, the hash of rule, version, key and declared window start.
        measures: measured values by name, beside ``thresholds`` in the rule's own words.
        event_count: distinct events of the session in the window.
        first_crossed_at: time of the first event, in (occurred_at, event_id) order, with which
            the condition held; ``crossed_event_id`` is its id in hex.
        sample: the first events in the same order.
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
    sample: Sample
