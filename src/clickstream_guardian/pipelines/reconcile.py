"""Reconciliation: what came in is in the lake or among the rejections, source by source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import duckdb

from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.pipelines.daily import dirty_days
from clickstream_guardian.store import SourceRecord, Store, list_sources
from clickstream_guardian.store.snapshots import LakeSnapshot, save_lake_snapshot


@dataclass(frozen=True)
class SourceBalance:
    """One source: ``lines = landed + rejected`` once it is finished."""

    record: SourceRecord
    landed: int
    rejected: int

    @property
    def is_even(self) -> bool | None:
        """Whether the balance holds; None while the source is still being read."""
        if self.record.total_lines is None:
            return None
        return self.record.total_lines == self.landed + self.rejected


def balances(store: Store, lake: Lake) -> list[SourceBalance]:
    """The balance of every source, from the lake's manifests."""
    landed: dict[str, Counter[str]] = {}
    with duckdb.connect() as reader:
        lake.attach(reader)
        for table in ("clicks", "purchases", "rejected"):
            landed[table] = Counter()
            for hour in lake.count_by_source_hour(table, reader):
                landed[table][hour.source.source] += hour.rows
    with store.begin() as connection:
        records = list_sources(connection)
    return [
        SourceBalance(
            record,
            landed["clicks"][record.source] + landed["purchases"][record.source],
            landed["rejected"][record.source],
        )
        for record in records
    ]


def note_lake(store: Store, lake: Lake) -> None:
    """Note the lake's totals in the database, for those who ask it alone (API, dashboard)."""
    rows = {t: sum(lake.day_counts(t).values()) for t in ("clicks", "purchases", "rejected")}
    snapshot = LakeSnapshot(
        landed=rows["clicks"] + rows["purchases"],
        rejected=rows["rejected"],
        dirty_days=dirty_days(store, lake),
    )
    with store.begin() as connection:
        save_lake_snapshot(connection, snapshot)
