"""Splitting a batch into hours, and naming their files."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from clickstream_guardian.lake.layout import raw_table
from clickstream_guardian.lake.model import OffsetRange, SourcePartition, StagedFiles
from clickstream_guardian.lake.rows import HourSlice, conform, split_by_hour

from .rows import FILE, clicks

TOPIC = SourcePartition("clicks.v1", 0)


def split(rows: pa.Table) -> list[HourSlice]:
    return list(split_by_hour(conform(rows, raw_table("clicks")), "occurred_at"))


def test_hours_ascend_and_keep_the_order_of_their_rows() -> None:
    rows = clicks(0, 180, every=timedelta(minutes=1))
    backwards = rows.take(pa.array(range(179, -1, -1)))
    columns = conform(backwards, raw_table("clicks"))
    parts = split(backwards)
    assert [part.hour for part in parts] == ["00", "01", "02"]
    assert parts[1].take(columns)["offset"].to_pylist() == list(range(119, 59, -1))


@pytest.mark.parametrize("chunks", [1, 7])
def test_rows_in_time_order_are_not_copied(chunks: int) -> None:
    rows = clicks(0, 120, every=timedelta(minutes=1))
    size = 120 // chunks + 1
    rows = pa.concat_tables([rows.slice(start, size) for start in range(0, 120, size)])
    parts = split(rows)
    assert [(part.start, part.rows, part.indices) for part in parts] == [
        (0, 60, None),
        (60, 60, None),
    ]


def test_a_name_belongs_to_the_offsets_alone() -> None:
    (one,), (same,) = split(clicks(5, 10)), split(clicks(5, 10))
    (longer,), (later,) = split(clicks(5, 11)), split(clicks(6, 10))
    (elsewhere,) = split(clicks(5, 10, source=TOPIC))
    assert one.file == same.file
    assert len({part.file.name for part in (one, longer, later, elsewhere)}) == 4
    assert one.file.name.startswith("000000000005-")


def test_offsets_are_found_for_each_source_partition() -> None:
    rows = pa.concat_tables([clicks(5, 3), clicks(100, 2, source=TOPIC), clicks(1, 2)])
    (part,) = split(rows)
    assert part.ranges == {FILE: OffsetRange(1, 7), TOPIC: OffsetRange(100, 101)}


def test_staged_files_add_up_to_the_union_of_their_offsets() -> None:
    one = StagedFiles("clicks", (), {FILE: OffsetRange(5, 9)})
    other = StagedFiles("clicks", (), {FILE: OffsetRange(1, 4), TOPIC: OffsetRange(0, 0)})
    assert (one + other).offsets == {FILE: OffsetRange(1, 9), TOPIC: OffsetRange(0, 0)}
    with pytest.raises(ValueError, match="clicks and purchases cannot be staged together"):
        one + StagedFiles("purchases")
