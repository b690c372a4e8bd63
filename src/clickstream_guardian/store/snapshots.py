"""What only a pipeline can see, the lake and the log, noted for whoever asks the database alone.

Each snapshot is one row that the next one replaces; its age tells how far to trust it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from clickstream_guardian.store.driver import driver_connection


@dataclass(frozen=True)
class LakeSnapshot:
    """The lake when a run had ended.

    Attributes:
        landed: rows in ``raw.clicks`` and ``raw.purchases``, duplicates included.
        rejected: rows in ``raw.rejected``.
        dirty_days: days whose rows or verdicts differ from what their metrics were made of.
        difference: what the sources that are finished counted, minus landed, minus rejected; None
            where none is (as on a live log), or one is still being read.
    """

    landed: int
    rejected: int
    dirty_days: Sequence[date]
    difference: int | None = None


@dataclass(frozen=True)
class BatchOutcome:
    """What a run of the daily metrics came to.

    Attributes:
        seconds: how long it took.
        day_count: days computed.
        error: what it failed of; None for success.
    """

    seconds: float
    day_count: int
    error: str | None = None


@dataclass(frozen=True)
class LogEnd:
    """The end of one partition of a live log: the offset the next event will get."""

    source: str
    partition: int
    end_offset: int


@dataclass(frozen=True)
class BucketProgress:
    """How far a group's detection of one bucket of a live log is.

    Attributes:
        owner: the process that detects, for a person.
        messages: judged so far, since the group began.
        rejected_by_reason: of these, what could not become an event.
        late: of these, events that came too late for detection.
        events_per_second: at present.
        watermark_at: windows that end by then are closed.
        state_rows: events held because their windows are not settled.
        step_seconds: the time of nine steps in ten, from reading to saved.
        lag: messages on the log that are yet to be judged.
        ends: the log's ends.
    """

    group: str
    bucket: int
    owner: str = ""
    messages: int = 0
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    late: int = 0
    events_per_second: float = 0.0
    watermark_at: str | None = None
    state_rows: int = 0
    step_seconds: float = 0.0
    lag: int = 0
    ends: Sequence[LogEnd] = ()


def save_progress(connection: Connection, progress: BucketProgress) -> None:
    """Replace the progress of a group's bucket, in the caller's transaction."""
    _save(connection, _progress_name(progress.group, progress.bucket), asdict(progress))


def load_progress(connection: Connection, group: str, bucket: int) -> BucketProgress:
    """What the last process noted of a group's bucket; its beginning if there was none."""
    found = (
        driver_connection(connection)
        .execute(
            "SELECT value FROM status_snapshots WHERE name = %s", (_progress_name(group, bucket),)
        )
        .fetchone()
    )
    if found is None:
        return BucketProgress(group, bucket)
    return _progress(found[0])


def list_progress(connection: Connection) -> list[tuple[BucketProgress, datetime]]:
    """Every bucket of every group, and when it was noted."""
    found = driver_connection(connection).execute(
        "SELECT value, updated_at FROM status_snapshots WHERE name LIKE %s", (PROGRESS + "%",)
    )
    shown = [(_progress(value), updated_at) for value, updated_at in found]
    return sorted(shown, key=lambda one: (one[0].group, one[0].bucket))


def _progress(value: Mapping[str, Any]) -> BucketProgress:
    return BucketProgress(**{**value, "ends": [LogEnd(**end) for end in value["ends"]]})


def _progress_name(group: str, bucket: int) -> str:
    return f"{PROGRESS}{group}:{bucket}"


def save_lake_snapshot(connection: Connection, snapshot: LakeSnapshot) -> None:
    """Replace the snapshot of the lake, in the caller's transaction."""
    value = asdict(snapshot) | {"dirty_days": [day.isoformat() for day in snapshot.dirty_days]}
    _save(connection, "lake", value)


def save_log_ends(connection: Connection, ends: Sequence[LogEnd]) -> None:
    """Replace the snapshot of the log's ends, in the caller's transaction."""
    _save(connection, "log", {"ends": [asdict(end) for end in ends]})


def save_batch_outcome(connection: Connection, outcome: BatchOutcome) -> None:
    """Replace what the last run of the daily metrics came to, in the caller's transaction."""
    _save(connection, "batch", asdict(outcome))


def load_batch_error(connection: Connection) -> str | None:
    """What the last run of the daily metrics failed of; None if it did not, or there was none."""
    query = "SELECT value->>'error' FROM status_snapshots WHERE name = 'batch'"
    found = driver_connection(connection).execute(query).fetchone()
    return None if found is None else found[0]


def save_alert_change(connection: Connection, change: int) -> None:
    """Replace the number of the last change of an anomaly that alerts have judged."""
    _save(connection, "alerts", {"change": change})


def load_alert_change(connection: Connection) -> int | None:
    """The last change of an anomaly that alerts have judged; None before the first time."""
    query = "SELECT value FROM status_snapshots WHERE name = 'alerts'"
    found = driver_connection(connection).execute(query).fetchone()
    return None if found is None else int(found[0]["change"])


PROGRESS = "detector:"
"""The names of progress snapshots begin so."""


def _save(connection: Connection, name: str, value: dict[str, object]) -> None:
    driver_connection(connection).execute(
        "INSERT INTO status_snapshots (name, value) VALUES (%s, %s) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()",
        (name, Jsonb(value)),
    )
