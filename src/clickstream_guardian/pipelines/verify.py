"""Verification: the stored numbers of days, held against the lake and against each other.

Nothing is computed anew by the metric SQL: rows are counted in the lake's manifests, distinct
events in its files, and what must add up is added up in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import duckdb

from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.pipelines.daily import lake_rows
from clickstream_guardian.store import Store
from clickstream_guardian.store.sums import MUST_EQUAL, DaySums, Number, sum_days

_COUNTED = {"clicks": "total_clicks", "purchases": "total_purchases"}


@dataclass(frozen=True)
class Difference:
    """Two numbers of a day that ought to be equal.

    Attributes:
        what: the stored number.
        against: what it was held against.
    """

    dt: date
    what: str
    stored: Number
    against: str
    expected: Number


def verify_days(
    store: Store,
    lake: Lake,
    days: Sequence[date],
    progress: Callable[[int], None] | None = None,
) -> list[Difference]:
    """Every difference of these days; none if all is well.

    A day without a row in ``daily_metrics`` was never computed, and differs if it has events.
    """
    rows = lake_rows(lake)
    with store.begin() as connection:
        sums = sum_days(connection, days)
    found = []
    with duckdb.connect() as reader:
        lake.attach(reader)
        for day in days:
            found += compare(day, sums[day], rows.get(day, 0), _events(reader, lake, day))
            if progress:
                progress(1)
    return found


def compare(day: date, sums: DaySums, rows: int, events: dict[str, int]) -> list[Difference]:
    """The differences of one day. Pure.

    Args:
        day: the day.
        sums: what is stored.
        rows: rows in the lake, duplicates included.
        events: distinct events in the lake, by raw table.
    """
    daily = partial(sums.of, "daily_metrics")
    pairs: list[tuple[str, Number, str, Number]] = [
        ("daily_metrics.source_rows", daily("source_rows"), "rows in the lake", rows)
    ]
    pairs += [
        (f"daily_metrics.{name}", daily(name), f"distinct events in raw.{table}", events[table])
        for table, name in _COUNTED.items()
    ]
    pairs += [
        (f"{table}.{total}", sums.of(table, total), f"daily_metrics.{name}", daily(name))
        for (table, total), name in MUST_EQUAL.items()
    ]
    return [
        Difference(day, what, stored, against, expected)
        for what, stored, against, expected in pairs
        if stored != expected
    ]


def _events(reader: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> dict[str, int]:
    """Distinct events of a day by raw table."""
    counts = {}
    for kind in EVENT_KINDS:
        paths = [file.path for file in lake.data_files(kind.table, str(day), str(day))]
        counts[kind.table] = 0
        if paths:
            (counts[kind.table],) = reader.execute(
                "SELECT count(DISTINCT event_id) FROM read_parquet(?, hive_partitioning = false)",
                [paths],
            ).fetchall()[0]
    return counts
