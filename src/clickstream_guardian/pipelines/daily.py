"""The day's numbers: computed from the lake, each day replaced whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from clickstream_guardian.engines.days import ComputedDays, MetricEngine
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.metrics.model import Metric
from clickstream_guardian.rules.model import Rule
from clickstream_guardian.store import Store, replace_days, stored_source_rows
from clickstream_guardian.store.exclusions import (
    blamed_sessions,
    place_sessions,
    replace_excluded,
    restless_days,
    unplaced_sessions,
)
from clickstream_guardian.store.restatements import Versions, restating
from clickstream_guardian.store.snapshots import BatchOutcome, save_batch_outcome

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int], None]

SETTLING_METRIC = "daily_metrics"
"""The metric with which it is noted what a day's numbers were made of."""


@dataclass(frozen=True)
class DayRange:
    """Days from ``first`` to ``last``, inclusive."""

    first: date
    last: date

    @property
    def days(self) -> list[date]:
        """Every day of the range."""
        count = (self.last - self.first).days + 1
        return [self.first + timedelta(days=n) for n in range(count)]


@dataclass(frozen=True)
class DueDays:
    """Days to compute, the sessions that their clean numbers leave out, and the rules' versions."""

    days: list[date]
    blamed: pa.Table
    versions: Versions = field(default_factory=dict)


def compute_days(
    store: Store,
    engine: MetricEngine,
    metrics: Sequence[Metric],
    due: DueDays,
    progress: Progress | None = None,
) -> None:
    """Compute the given days anew and replace their rows, some days at a time.

    All metrics of a day are replaced in one transaction, raw and deltas together, so a reader never
    sees a day half new, and a failed run leaves the old numbers. Which sessions were left out is
    noted with ``daily_metrics``, as ``source_rows`` is: the other metrics follow it.
    """
    days = [str(day) for day in sorted(set(due.days))]
    for part in engine.compute_days(metrics, days, due.blamed):
        done = [date.fromisoformat(dt) for dt in part.dts]
        with store.begin() as connection:
            _replace(connection, metrics, done, part, due.versions)
        if progress:
            progress(len(done))


def _replace(
    connection: Connection,
    metrics: Sequence[Metric],
    days: Sequence[date],
    part: ComputedDays,
    versions: Versions,
) -> None:
    settles = SETTLING_METRIC in part.rows
    with restating(connection, days, versions) if settles else nullcontext():
        for metric in metrics:
            replace_days(connection, metric.name, days, part.rows[metric.name])
            replace_days(connection, f"{metric.name}_delta", days, part.deltas[metric.name])
        if settles:
            replace_excluded(connection, days, part.excluded)


@dataclass
class BatchRun:
    """A run of the daily metrics under way.

    Attributes:
        started: by the monotonic clock, in seconds.
        day_count: days computed so far.
    """

    started: float
    day_count: int = 0

    def outcome(self, error: str | None = None) -> BatchOutcome:
        """What it came to by now."""
        seconds = round(time.monotonic() - self.started, 3)
        return BatchOutcome(seconds, self.day_count, error)


@contextmanager
def outcome_noted(store: Store) -> Iterator[BatchRun]:
    """Note in the database what the body, a run of the daily metrics, came to."""
    run = BatchRun(time.monotonic())
    try:
        yield run
    except Exception as error:
        with suppress(GuardianError), store.begin() as connection:
            save_batch_outcome(connection, run.outcome(str(error) or type(error).__name__))
        raise
    with store.begin() as connection:
        save_batch_outcome(connection, run.outcome())


def lake_rows(lake: Lake) -> dict[date, int]:
    """Rows of events by day, duplicates included, from the lake's manifests."""
    rows: dict[date, int] = {}
    for kind in EVENT_KINDS:
        for dt, count in lake.day_counts(kind.table).items():
            day = date.fromisoformat(dt)
            rows[day] = rows.get(day, 0) + count
    return rows


def changed_days(store: Store, lake: Lake) -> list[date]:
    """Days whose row count in the lake differs from the one their metrics were made of."""
    in_lake = lake_rows(lake)
    with store.begin() as connection:
        stored = stored_source_rows(connection)
    days = in_lake.keys() | stored.keys()
    return sorted(day for day in days if in_lake.get(day, 0) != stored.get(day))


def dirty_days(store: Store, lake: Lake) -> list[date]:
    """Days whose numbers are out of date: their rows have changed, or a verdict has."""
    changed = changed_days(store, lake)
    with store.begin() as connection:
        return sorted({*changed, *restless_days(connection)})


def due_days(
    store: Store,
    lake: Lake,
    engine: MetricEngine,
    days: Sequence[date] | None = None,
    rules: Iterable[Rule] = (),
) -> DueDays:
    """What to compute: the days given, or those that are dirty, and which sessions to leave out.

    An abusive session that no day is known of is looked for in the lake, so that its other days
    become dirty too. Days whose rows have changed need no look: they find it when they are
    computed, and stay dirty until they are. ``rules`` are those that verdicts rest on.
    """
    with store.begin() as connection:
        blamed = blamed_sessions(connection)
        unplaced = unplaced_sessions(connection)
    if unplaced:
        changed = [str(day) for day in changed_days(store, lake)]
        found = engine.find_days(unplaced, changed)
        placed = list(zip(*(found[name].to_pylist() for name in ("dt", "session_id")), strict=True))
        with store.begin() as connection:
            place_sessions(connection, unplaced, placed)
    versions = {rule.name: rule.version for rule in rules}
    return DueDays(dirty_days(store, lake) if days is None else list(days), blamed, versions)
