"""The day's numbers: computed from the lake, each day replaced whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta

from clickstream_guardian.engines.days import MetricEngine
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.metrics.model import Metric
from clickstream_guardian.store import Store, replace_days, stored_source_rows
from clickstream_guardian.store.snapshots import save_batch_outcome

Progress = Callable[[int], None]


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


def compute_days(
    store: Store,
    engine: MetricEngine,
    metrics: Sequence[Metric],
    days: Sequence[date],
    progress: Progress | None = None,
) -> None:
    """Compute the given days anew and replace their rows, some days at a time.

    All metrics of a day are replaced in one transaction, so a reader never sees a day half new, and
    a failed run leaves the old numbers.
    """
    for part in engine.compute_days(metrics, [str(day) for day in sorted(set(days))]):
        done = [date.fromisoformat(dt) for dt in part.dts]
        with store.begin() as connection:
            for metric in metrics:
                replace_days(connection, metric.name, done, part.rows[metric.name])
        if progress:
            progress(len(done))


@contextmanager
def outcome_noted(store: Store) -> Iterator[None]:
    """Note in the database whether the body, a run of the daily metrics, ended well."""
    try:
        yield
    except Exception as error:
        with suppress(GuardianError), store.begin() as connection:
            save_batch_outcome(connection, str(error) or type(error).__name__)
        raise
    with store.begin() as connection:
        save_batch_outcome(connection, None)


def lake_rows(lake: Lake) -> dict[date, int]:
    """Rows of events by day, duplicates included, from the lake's manifests."""
    rows: dict[date, int] = {}
    for kind in EVENT_KINDS:
        for dt, count in lake.day_counts(kind.table).items():
            day = date.fromisoformat(dt)
            rows[day] = rows.get(day, 0) + count
    return rows


def dirty_days(store: Store, lake: Lake) -> list[date]:
    """Days whose row count in the lake differs from the one their metrics were made of."""
    in_lake = lake_rows(lake)
    with store.begin() as connection:
        stored = stored_source_rows(connection)
    days = in_lake.keys() | stored.keys()
    return sorted(day for day in days if in_lake.get(day, 0) != stored.get(day))
