"""Upkeep changes no row, and done twice does nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from clickstream_guardian.lake.lake import open_lake
from clickstream_guardian.pipelines.maintain import CLOSED_AFTER, compact, expire, partitions
from clickstream_guardian.store import Store
from tests.unit.lake.rows import MIDNIGHT, land, landed_offsets


def test_closed_hours_are_merged_and_younger_ones_left_alone(store: Store, tmp_path: Path) -> None:
    with open_lake(store.catalog_uri, tmp_path / "lake") as lake:
        for number in range(10):
            land(lake, number, 1)
        one_hour = MIDNIGHT + timedelta(hours=1)
        assert compact(lake, one_hour + CLOSED_AFTER - timedelta(seconds=1))["clicks"].hours == 0
        done = compact(lake, one_hour + CLOSED_AFTER)["clicks"]
        assert (done.hours, done.files_before, done.files_after) == (1, 10, 1)
        assert compact(lake, one_hour + CLOSED_AFTER)["clicks"].hours == 0
        assert landed_offsets(lake) == list(range(10))
        assert set(expire(lake)) == {"clicks", "purchases", "rejected"}
        assert landed_offsets(lake) == list(range(10))


def test_partitions_are_made_ahead_once(store: Store) -> None:
    new_year = datetime(2030, 12, 31, 23, tzinfo=UTC)
    names = [f"anomaly_sessions_{month}" for month in ("2030_12", "2031_01", "2031_02")]
    assert partitions(store, new_year) == names
    assert partitions(store, new_year) == []
