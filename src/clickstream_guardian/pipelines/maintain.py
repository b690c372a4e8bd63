"""Upkeep: small files merged, old snapshots forgotten, the database's partitions made ahead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.model import Compaction
from clickstream_guardian.store import Store
from clickstream_guardian.store.anomalies import make_partitions

TABLES = ("clicks", "purchases", "rejected")
CLOSED_AFTER = timedelta(hours=2)
"""How long after its end an hour is left alone, for what still arrives in it."""

MONTHS_AHEAD = 2


def compact(lake: Lake, now: datetime) -> Mapping[str, Compaction]:
    """Merge the small files of closed hours, by table. Idempotent; a killed one is done again."""
    return {table: lake.compact(table, now - CLOSED_AFTER) for table in TABLES}


def expire(lake: Lake) -> Mapping[str, int]:
    """Forget old snapshots and remove files that none names; how many snapshots, by table."""
    forgotten = {}
    for table in TABLES:
        forgotten[table] = lake.expire_snapshots(table)
        if lake.remote_files is None:
            lake.remove_orphans(table)
    return forgotten


def partitions(store: Store, now: datetime) -> list[str]:
    """Make the partitions of this month and the next ones, so that no writer waits for one."""
    month = now.astimezone(UTC).replace(day=1)
    months = [month]
    while len(months) <= MONTHS_AHEAD:
        months.append((months[-1] + timedelta(days=31)).replace(day=1))
    with store.begin() as connection:
        return make_partitions(connection, months)
