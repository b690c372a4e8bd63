"""Rehearsal: the way of an event, gone once before a stream is read, and taken back.

Modules are loaded, expressions compiled and connections opened at their first use. Of a stream in
real time the first seconds would wait for that, and their anomalies with them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl

from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.store import Store, upsert_anomalies

_EVENTS = 400
"""Enough, at a millisecond's distance, to break any rule that is about speed."""
_CALLS = 2


def rehearse(
    config: DetectorConfig, store: Store, land: Callable[[pl.DataFrame], object] | None = None
) -> None:
    """Judge a made session and save what it broke, in a transaction that is rolled back.

    Args:
        config: rules and numbers.
        store: where anomalies would be saved.
        land: prepares events for the lake, where that is part of the way.
    """
    events = made_session(datetime.now(UTC))
    if land is not None:
        land(events)
    found = _judged(config, events)
    with store.begin() as connection:
        upsert_anomalies(connection, {"rehearsal": found}, config.shadow_rules)
        connection.rollback()


def made_session(begin: datetime) -> pl.DataFrame:
    """One session's events, a millisecond apart, all on one item, with offsets from 0."""
    first_us = int(begin.timestamp() * 1e6)
    return pl.DataFrame(
        {
            "session_id": pl.repeat("rehearsal", _EVENTS, eager=True),
            "occurred_at": pl.Series(np.arange(_EVENTS) * 1000 + first_us).cast(
                pl.Datetime("us", "UTC")
            ),
            "item_id": pl.repeat("0", _EVENTS, eager=True),
            "event_id": pl.Series(np.arange(_EVENTS)).cast(pl.UInt128),
            "offset": np.arange(_EVENTS),
        }
    )


def _judged(config: DetectorConfig, events: pl.DataFrame) -> list[Anomaly]:
    """What detectors without a past say of them, call after call."""
    found: list[Anomaly] = []
    for kind in sorted({rule.events for rule in config.rules}):
        mine, state = config.of(kind), BucketState()
        for part in events.iter_slices(_EVENTS // _CALLS):
            end = int(part["offset"][-1]) + 1
            step = advance(mine, state, [Arrival(PartitionKey(kind, 0), part, end)])
            state = step.state
            found += step.anomalies
    return found
