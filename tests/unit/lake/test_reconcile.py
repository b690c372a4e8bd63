"""Counting what was landed by source and hour, and finding offsets missing or repeated."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pyarrow as pa
import pytest

from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.model import OffsetRange, SourcePartition
from clickstream_guardian.lake.reconcile import OffsetCheck, SourceHour, check_offsets

from .rows import FILE, clicks, land, paths, rejections

TOPIC = SourcePartition("clicks.v1", 2)


@pytest.fixture
def duck() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def check(duck: duckdb.DuckDBPyConnection, lake: Lake, *tables: str) -> list[OffsetCheck]:
    return check_offsets(duck, [path for table in tables for path in paths(lake, table)])


def test_rows_are_counted_by_source_and_hour(lake: Lake, duck: duckdb.DuckDBPyConnection) -> None:
    land(lake, 0, 90, every=timedelta(minutes=1))
    land(lake, 90, 10)
    mixed = pa.concat_tables([clicks(100, 5), clicks(40, 3, source=TOPIC)])
    staged = lake.write_files("clicks", mixed)
    lake.commit("clicks", staged, {FILE: 105, TOPIC: 43}, {FILE: 100})
    assert lake.count_by_source_hour("clicks", duck) == [
        SourceHour(FILE, "2014-04-07", "00", 75, OffsetRange(0, 104)),
        SourceHour(FILE, "2014-04-07", "01", 30, OffsetRange(60, 89)),
        SourceHour(TOPIC, "2014-04-07", "00", 3, OffsetRange(40, 42)),
    ]
    assert lake.count_by_source_hour("clicks", duck, "2014-04-08") == []


def test_rejected_rows_fill_the_gaps_of_landed_ones(
    lake: Lake, duck: duckdb.DuckDBPyConnection
) -> None:
    landed = pa.concat_tables([clicks(0, 4), clicks(6, 4)])
    lake.commit("clicks", lake.write_files("clicks", landed), {FILE: 10}, {})
    lake.commit("rejected", lake.write_files("rejected", rejections(4, 2)), {FILE: 10}, {})
    [alone] = check(duck, lake, "clicks")
    assert (alone.missing, alone.holes, alone.is_whole) == (2, (OffsetRange(4, 5),), False)
    [together] = check(duck, lake, "clicks", "rejected")
    assert together == OffsetCheck(FILE, 10, OffsetRange(0, 9), 0, 0)
    assert together.is_whole


def test_repeated_offsets_are_counted(lake: Lake, duck: duckdb.DuckDBPyConnection) -> None:
    twice = pa.concat_tables([clicks(0, 10), clicks(3, 2)])
    lake.commit("clicks", lake.write_files("clicks", twice), {FILE: 10}, {})
    assert check(duck, lake, "clicks") == [OffsetCheck(FILE, 12, OffsetRange(0, 9), 0, 2)]


def test_gaps_are_found_across_the_buckets_of_the_count(
    lake: Lake, duck: duckdb.DuckDBPyConnection
) -> None:
    edge = 1 << 20
    rows = pa.concat_tables([clicks(edge - 3, 2), clicks(edge + 1, 2), clicks(edge + 7, 1)])
    lake.commit("clicks", lake.write_files("clicks", rows), {FILE: edge + 8}, {})
    [found] = check(duck, lake, "clicks")
    assert found.offsets == (edge - 3, edge + 7)
    assert (found.missing, found.repeated) == (6, 0)
    assert found.holes == ((edge - 1, edge), (edge + 3, edge + 6))


def test_partitions_of_a_source_are_apart(lake: Lake, duck: duckdb.DuckDBPyConnection) -> None:
    other = SourcePartition(TOPIC.source, 3)
    rows = pa.concat_tables([clicks(0, 5, source=TOPIC), clicks(0, 3, source=other)])
    lake.commit("clicks", lake.write_files("clicks", rows), {TOPIC: 5, other: 3}, {})
    assert check(duck, lake, "clicks") == [
        OffsetCheck(TOPIC, 5, OffsetRange(0, 4), 0, 0),
        OffsetCheck(other, 3, OffsetRange(0, 2), 0, 0),
    ]


def test_an_empty_lake_has_nothing_to_check(lake: Lake, duck: duckdb.DuckDBPyConnection) -> None:
    assert check(duck, lake, "clicks", "rejected") == []
    assert lake.count_by_source_hour("clicks", duck) == []
