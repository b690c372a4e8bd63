"""Back-test: rules over days gone by, by the same detector core that judges live."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.model import Anomaly, Status
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.rules.model import Rule

_BATCH = 250_000
_KEY = PartitionKey("backtest", 0)
_FLAGGED: dict[str, pl.DataType] = {
    "rule": pl.String(),
    "session_id": pl.String(),
    "detected_at": pl.Datetime("us", "UTC"),
}
_MOMENTS: dict[str, pl.DataType] = {
    "session_id": pl.String(),
    "occurred_at": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True)
class Judged:
    """What rules made of some days.

    Attributes:
        flagged: rule, session_id, and the event time at which the rule first had the session.
        sessions: session_id, first_at, events (of the kind judged) of every session.
        moments: session_id, occurred_at of every event of the sessions watched.
        events: events judged.
        seconds: wall time of the judging alone.
    """

    flagged: pl.DataFrame
    sessions: pl.DataFrame
    moments: pl.DataFrame
    events: int
    seconds: float


def judge(
    rules: Sequence[Rule], days: Iterable[pl.DataFrame], watched: pl.DataFrame | None = None
) -> Judged:
    """Judge days of events of one kind.

    Args:
        rules: rules for that kind; none only counts sessions.
        days: events in event-time order without late ones, with the columns of an ``Arrival``.
        watched: session_id of the sessions whose every moment is to be kept.
    """
    detectors = [_Detector(group) for group in _groups(rules)]
    sessions: list[pl.DataFrame] = []
    moments = [pl.DataFrame(schema=_MOMENTS)]
    seconds, count = 0.0, 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        for batch in _batches(days):
            started = time.perf_counter()
            list(pool.map(_Detector.feed, detectors, [batch] * len(detectors)))
            seconds += time.perf_counter() - started
            count += len(batch)
            sessions.append(_sessions(batch))
            if watched is not None:
                mine = batch.join(watched, on="session_id", how="semi", maintain_order="left")
                moments.append(mine.select("session_id", "occurred_at"))
        started = time.perf_counter()
        list(pool.map(_Detector.finish, detectors))
        seconds += time.perf_counter() - started
    flagged = pl.concat([pl.DataFrame(schema=_FLAGGED), *(one.flagged() for one in detectors)])
    return Judged(flagged, _joined(sessions), pl.concat(moments), count, seconds)


def _groups(rules: Sequence[Rule]) -> Iterator[tuple[Rule, ...]]:
    """Rules that share no state, so that they can run side by side."""
    for at_close in (False, True):
        group = tuple(rule for rule in rules if rule.at_close is at_close)
        if group:
            yield group


def _batches(days: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for day in days:
        yield from day.iter_slices(_BATCH)


def _sessions(batch: pl.DataFrame) -> pl.DataFrame:
    return batch.group_by("session_id").agg(
        first_at=pl.col("occurred_at").min(), events=pl.col("event_id").n_unique()
    )


def _joined(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return (
        pl.concat(parts)
        .group_by("session_id")
        .agg(pl.col("first_at").min(), pl.col("events").sum())
    )


@dataclass
class _Detector:
    """One detector on its way through the days; keeps the earliest finding per rule and session."""

    rules: tuple[Rule, ...]
    found: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config = DetectorConfig(self.rules, sample_size=1)
        self.state = BucketState()
        self.at_close = {rule.name for rule in self.rules if rule.at_close}
        self.offset = 0

    def feed(self, events: pl.DataFrame, *, ended: bool = False) -> None:
        self.offset += len(events)
        arrival = Arrival(_KEY, events, self.offset, ended=ended)
        step = advance(self.config, self.state, [arrival])
        self.state = step.state
        for anomaly in step.anomalies:
            if anomaly.status == Status.FINAL:
                self._note(anomaly)

    def finish(self) -> None:
        self.feed(_no_events(), ended=True)

    def _note(self, anomaly: Anomaly) -> None:
        """A rule judged at close speaks at the window's end, another with the crossing event."""
        at = anomaly.window_end if anomaly.rule in self.at_close else anomaly.first_crossed_at
        key = anomaly.rule, anomaly.session_id
        self.found[key] = min(at, self.found.get(key, at))

    def flagged(self) -> pl.DataFrame:
        rows = [(rule, session, at) for (rule, session), at in self.found.items()]
        return pl.DataFrame(rows, schema=_FLAGGED, orient="row")


def _no_events() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "session_id": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
            "item_id": pl.String,
            "event_id": pl.UInt128,
        }
    )
