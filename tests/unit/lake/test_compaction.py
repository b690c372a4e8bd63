"""Compaction: fewer files, the same rows, the same positions; readers are not disturbed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.model import Compaction

from .conftest import OpenLake
from .rows import FILE, MIDNIGHT, clicks, land, landed_offsets, paths, query

HOUR = timedelta(hours=1)
NOW = timedelta(0)


def land_small(lake: Lake, files: int, *, rows: int = 10, first: int = 0) -> int:
    """Land so many files into the first hour; returns the next offset."""
    for number in range(files):
        land(lake, first + number * rows, rows, at=MIDNIGHT + timedelta(minutes=59 - number % 60))
    return first + files * rows


def test_small_files_of_a_closed_hour_become_one(lake: Lake) -> None:
    land_small(lake, 9)
    everything = (
        "SELECT * EXCLUDE (occurred_at, received_at), epoch_us(occurred_at) FROM raw "
        'ORDER BY "offset"'
    )
    before = query(lake, everything)
    assert lake.compact("clicks", MIDNIGHT + HOUR) == Compaction(1, 9, 1)
    assert len(lake.data_files("clicks")) == 1
    assert query(lake, everything) == before
    assert lake.positions("clicks") == {FILE: 90}


def test_merged_rows_lie_in_the_order_of_time(lake: Lake) -> None:
    land_small(lake, 9)
    lake.compact("clicks", MIDNIGHT + HOUR)
    times = [row[0] for row in query(lake, "SELECT epoch_us(occurred_at) FROM raw")]
    assert times == sorted(times)  # type: ignore[type-var]


def test_an_open_hour_is_left_alone(lake: Lake) -> None:
    land_small(lake, 9)
    assert lake.compact("clicks", MIDNIGHT + HOUR - timedelta(microseconds=1)) == Compaction()
    assert len(lake.data_files("clicks")) == 9


def test_an_hour_with_few_files_is_left_alone(lake: Lake) -> None:
    land_small(lake, 7)
    assert lake.compact("clicks", MIDNIGHT + HOUR) == Compaction()
    assert lake.compact("clicks", MIDNIGHT + HOUR, min_files=7).files_before == 7


def test_compacting_twice_changes_nothing(lake: Lake) -> None:
    land_small(lake, 9)
    lake.compact("clicks", MIDNIGHT + HOUR)
    before = paths(lake)
    assert lake.compact("clicks", MIDNIGHT + HOUR, min_files=2) == Compaction()
    assert paths(lake) == before


def test_merged_files_stay_below_the_target(lake: Lake) -> None:
    land_small(lake, 9)
    size = max(file.bytes for file in lake.data_files("clicks"))
    done = lake.compact("clicks", MIDNIGHT + HOUR, target_bytes=size * 3)
    assert done == Compaction(1, 9, 3)
    assert landed_offsets(lake) == list(range(90))


def test_a_file_of_half_the_target_is_not_read_again(lake: Lake) -> None:
    land(lake, 0, 2000, every=timedelta(seconds=1))
    big = lake.data_files("clicks")[0]
    land_small(lake, 9, first=2000)
    lake.compact("clicks", MIDNIGHT + HOUR, target_bytes=big.bytes * 2)
    assert big.path in paths(lake)
    assert len(lake.data_files("clicks")) == 2


def test_many_hours_are_compacted_in_several_commits(lake: Lake) -> None:
    for number in range(2):
        land(lake, number * 130, 130, every=HOUR)
    done = lake.compact("clicks", MIDNIGHT + timedelta(days=9), min_files=2)
    assert done == Compaction(130, 260, 130)
    assert landed_offsets(lake) == list(range(260))


def test_landing_goes_on_after_a_compaction(lake: Lake) -> None:
    offset = land_small(lake, 9)
    lake.compact("clicks", MIDNIGHT + HOUR)
    land_small(lake, 9, first=offset)
    lake.compact("clicks", MIDNIGHT + HOUR)
    assert landed_offsets(lake) == list(range(180))
    assert len(lake.data_files("clicks")) == 1


def test_a_reader_that_planned_before_can_still_read(lake: Lake) -> None:
    land_small(lake, 9)
    planned = list(paths(lake))
    lake.compact("clicks", MIDNIGHT + HOUR)
    land_small(lake, 40, first=90)
    lake.expire_snapshots("clicks")
    lake.remove_orphans("clicks", grace=NOW)
    count = duckdb.connect().execute("SELECT count(*) FROM read_parquet(?)", [planned]).fetchone()
    assert count == (90,)


def test_replaced_files_go_once_readers_have_had_their_time(lake: Lake, warehouse: Path) -> None:
    land_small(lake, 9)
    replaced = list(paths(lake))
    lake.compact("clicks", MIDNIGHT + HOUR)
    land_small(lake, 10, first=90)
    lake.expire_snapshots("clicks", grace=NOW)
    assert lake.remove_orphans("clicks", grace=NOW).data_files == 9
    assert not [path for path in replaced if Path(path).exists()]
    assert sorted(map(str, warehouse.rglob("*.parquet"))) == sorted(paths(lake))
    assert landed_offsets(lake) == list(range(190))


def test_a_rival_append_and_the_compaction_both_stand(open_here: OpenLake) -> None:
    rival = open_here()

    def meanwhile(step: str) -> None:
        if step == "before compaction commit":
            staged = rival.write_files("clicks", clicks(90, 10))
            rival.commit("clicks", staged, {FILE: 100}, {FILE: 90})

    lake = open_here(on_step=meanwhile)
    land_small(lake, 9)
    assert lake.compact("clicks", MIDNIGHT + HOUR).files_after == 1
    assert landed_offsets(lake) == list(range(100))
    assert len(paths(lake)) == 2


def test_a_rival_compaction_refuses_ours_and_loses_nothing(open_here: OpenLake) -> None:
    rival = open_here()

    def meanwhile(step: str) -> None:
        if step == "before compaction commit":
            rival.compact("clicks", MIDNIGHT + HOUR)

    lake = open_here(on_step=meanwhile)
    land_small(lake, 9)
    with pytest.raises(GuardianError, match="Compacting clicks was refused"):
        lake.compact("clicks", MIDNIGHT + HOUR)
    assert landed_offsets(lake) == list(range(90))


def test_a_file_with_rows_missing_stops_the_compaction(lake: Lake) -> None:
    land(lake, 0, 11)
    land_small(lake, 8, first=11)
    long, other = sorted(lake.data_files("clicks"), key=lambda file: -file.rows)[:2]
    Path(long.path).write_bytes(Path(other.path).read_bytes())
    before = paths(lake)
    with pytest.raises(GuardianError, match="hold 90 rows, the table says 91"):
        lake.compact("clicks", MIDNIGHT + HOUR)
    assert paths(lake) == before


def test_a_damaged_file_stops_the_compaction_with_a_sentence(lake: Lake) -> None:
    land_small(lake, 9)
    before = paths(lake)
    Path(before[3]).write_bytes(b"PAR1 no more")
    with pytest.raises(GuardianError, match=r"^Compacting clicks failed: .*Parquet"):
        lake.compact("clicks", MIDNIGHT + HOUR)
    assert paths(lake) == before
    assert lake.remove_orphans("clicks", grace=NOW).data_files == 0
