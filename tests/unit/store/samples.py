"""Anomalies and checkpoints to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from clickstream_guardian.detector.evaluate import micros
from clickstream_guardian.detector.model import Anomaly, Sample
from clickstream_guardian.store.checkpoints import Checkpoint, Position

START = datetime(2014, 4, 7, 10, 51, tzinfo=UTC)

ITEMS = ("214536502", 'a "quoted"\titem \\ ü')


def sample(
    *at: datetime, items: Sequence[str] = ITEMS, ids: Sequence[int] = (1 << 124, 2)
) -> Sample:
    """Two events, or as many as there are times."""
    return Sample.of([micros(one) for one in at], items[: len(at)], ids[: len(at)])


ANOMALY = Anomaly(
    anomaly_id="0" * 32,
    rule="HIGH_FREQUENCY",
    rule_version=1,
    severity="high",
    session_id="42",
    window_start=START,
    window_end=START + timedelta(seconds=10),
    status="final",
    measures={"clicks": 60, "diversity": 0.1},
    thresholds={"clicks": ">= 50"},
    event_count=60,
    first_crossed_at=START + timedelta(seconds=7),
    crossed_event_id="f" * 32,
    explanation="60 clicks in 10 seconds",
    sample=sample(START, START + timedelta(milliseconds=1500)),
)


def anomaly(number: int = 0, **changes: Any) -> Anomaly:
    return replace(ANOMALY, anomaly_id=f"{number:032x}", **changes)


def at(start: datetime, number: int = 0, **changes: Any) -> Anomaly:
    end = start + timedelta(seconds=10)
    return anomaly(number, window_start=start, window_end=end, **changes)


POSITION = Position("file", 0, 500, 400, START, 3, False)
CHECKPOINT = Checkpoint("replay", "rules-1", 10_000_000, START, 0, (POSITION,))
