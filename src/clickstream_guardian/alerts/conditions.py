"""What is wrong with the data and its servers, from what was seen of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from clickstream_guardian.alerts.model import AlertKey, Concern, Source
from clickstream_guardian.rules.model import Severity

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Thresholds:
    """From where on something is wrong.

    Attributes:
        lag: messages on the log that are yet to be judged.
        freshness_seconds: since a live detector last wrote.
        dead_letters_per_hour: more than so many in an hour.
        batch_due: how long after midnight UTC the day before must be computed, where events are
            live.
        pool_ratio: share of the database's connections in use.
    """

    lag: int = 100_000
    freshness_seconds: float = 120.0
    dead_letters_per_hour: int = 1000
    batch_due: timedelta = timedelta(hours=6)
    pool_ratio: float = 0.8


@dataclass(frozen=True)
class Pool:
    """Connections of the database in use, and how many there may be."""

    used: int
    most: int


@dataclass(frozen=True)
class Seen:
    """What was looked at.

    Attributes:
        at: when.
        status: the answer of ``system_status``; None where the database is away.
        pool: None where the database is away.
        batch_error: what the last run of the daily metrics failed of; None if it did not.
        services: of each server looked at what it says of itself, None if it is well.
        rejected_before: rejections so far, an hour ago or when looking began.
    """

    at: datetime
    status: Mapping[str, Any] | None
    pool: Pool | None = None
    batch_error: str | None = None
    services: Mapping[str, str | None] = field(default_factory=dict)
    rejected_before: int | None = None


def conditions(seen: Seen, limits: Thresholds) -> list[Concern]:
    """Everything that is wrong now but anomalies."""
    found = [
        _concern(Source.SERVICE, name, Severity.CRITICAL, f"{name} is down: {said}")
        for name, said in seen.services.items()
        if said is not None
    ]
    if seen.status is None:
        return found
    found += _lag(seen.status, limits)
    found += _freshness(seen, seen.status, limits)
    found += _dead_letters(seen, seen.status, limits)
    found += _reconciliation(seen.status)
    found += _batch(seen, seen.status, limits)
    return found + _pool(seen.pool, limits)


def rejected_so_far(status: Mapping[str, Any]) -> int:
    """Lines and messages that were rejected, by replays and by live detection."""
    live = sum(sum(one["rejected_by_reason"].values()) for one in status["detectors"])
    return int(status["events"]["rejected"]) + live


def _concern(source: Source, key: str, severity: Severity, summary: str) -> Concern:
    return Concern(source, AlertKey(str(source), key), severity, summary)


def _lag(status: Mapping[str, Any], limits: Thresholds) -> list[Concern]:
    lags: dict[str, int] = {}
    for one in status["detectors"]:
        lags[one["group"]] = lags.get(one["group"], 0) + int(one["lag"])
    return [
        _concern(
            Source.LAG,
            group,
            Severity.HIGH,
            f"Detection by {group} is {lag:,} messages behind (limit {limits.lag:,}).",
        )
        for group, lag in lags.items()
        if lag > limits.lag
    ]


def _freshness(seen: Seen, status: Mapping[str, Any], limits: Thresholds) -> list[Concern]:
    newest: dict[str, datetime] = {}
    for one in status["detectors"]:
        at = datetime.fromisoformat(one["updated_at"])
        newest[one["group"]] = max(at, newest.get(one["group"], at))
    silent = {group: (seen.at - at).total_seconds() for group, at in newest.items()}
    return [
        _concern(
            Source.FRESHNESS,
            group,
            Severity.HIGH,
            f"Detection by {group} has written nothing for {seconds:,.0f} s "
            f"(limit {limits.freshness_seconds:,.0f} s).",
        )
        for group, seconds in silent.items()
        if seconds > limits.freshness_seconds
    ]


def _dead_letters(seen: Seen, status: Mapping[str, Any], limits: Thresholds) -> list[Concern]:
    if seen.rejected_before is None:
        return []
    grown = rejected_so_far(status) - seen.rejected_before
    if grown <= limits.dead_letters_per_hour:
        return []
    said = f"{grown:,} dead letters in an hour (limit {limits.dead_letters_per_hour:,})."
    return [_concern(Source.DEAD_LETTERS, "all", Severity.HIGH, said)]


def _reconciliation(status: Mapping[str, Any]) -> list[Concern]:
    balance = status["reconciliation"]
    if balance is None or balance["balanced"]:
        return []
    said = f"{balance['difference']:,} events came in and are neither landed nor rejected."
    return [_concern(Source.RECONCILIATION, "all", Severity.CRITICAL, said)]


def _batch(seen: Seen, status: Mapping[str, Any], limits: Thresholds) -> list[Concern]:
    found = []
    if seen.batch_error is not None:
        said = f"The daily metrics failed: {seen.batch_error}"
        found.append(_concern(Source.BATCH, "failed", Severity.HIGH, said))
    due = (seen.at - limits.batch_due).date() - timedelta(days=1)
    newest = status["batch"]["newest_dt"]
    if _is_live(seen, status["detectors"]) and (newest is None or newest < due.isoformat()):
        said = f"The newest day computed is {newest}, and {due} is due."
        found.append(_concern(Source.BATCH, "late", Severity.HIGH, said))
    return found


def _is_live(seen: Seen, detectors: Sequence[Mapping[str, Any]]) -> bool:
    """Whether events are of today: a detector's windows have closed within the last day."""
    marks = [one["watermark_at"] for one in detectors if one["watermark_at"]]
    return any(seen.at - datetime.fromisoformat(mark) < 24 * _HOUR for mark in marks)


def _pool(pool: Pool | None, limits: Thresholds) -> list[Concern]:
    if pool is None or pool.used < limits.pool_ratio * pool.most:
        return []
    said = f"{pool.used} of the database's {pool.most} connections are in use."
    return [_concern(Source.DATABASE_POOL, "database", Severity.HIGH, said)]
