"""A replay that goes on begins with the first event it does not have, in either order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.sources.replay import FileSource, batches
from clickstream_guardian.sources.spool import Order, build_spool

READ_AT = datetime(2020, 1, 1, tzinfo=UTC)


def source(folder: Path, order: Order) -> FileSource:
    """Forty clicks, the latest first, on two hours of either of two days, a bad line among them."""
    lines = [
        f"{n % 3},2014-04-0{7 + n % 2}T{10 + (n < 20)}:{59 - n:02d}:00Z,{n},0" for n in range(40)
    ]
    path = folder / "clicks.dat"
    path.write_text("\n".join([*lines[:20], "bad", *lines[20:]]) + "\n")
    spool = build_spool(folder / "spool", path, CLICK, order, READ_AT)
    return FileSource("a3f0", path, CLICK, READ_AT, spool)


def read(file: FileSource, start: int) -> list[tuple[int, str]]:
    parts = [part for batch in batches([file], {file.source: start}) for part in batch.parts]
    assert parts[-1].ended
    assert parts[-1].next_offset == file.end
    filled = [part.events for part in parts if len(part.events)]
    return [pair for one in filled for pair in one.select("offset", "item_id").iter_rows()]


@pytest.mark.parametrize("part_rows", [100, 15, 1], ids=["by day", "by hour", "by minute"])
def test_a_large_day_is_cut_and_read_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr("clickstream_guardian.sources.spool._PART_ROWS", part_rows)
    file = source(tmp_path, Order.TIME)
    assert len(file.spool.index.parts) == {100: 2, 15: 4, 1: 40}[part_rows]
    in_time = [*range(38, -1, -2), *range(39, 0, -2)]  # even ones are of the first day
    assert read(file, 0) == [(1 + place, str(item)) for place, item in enumerate(in_time)]
    assert [len(file.spool.day(day)) for day in file.spool.days] == [20, 20]


@pytest.mark.parametrize("part_rows", [100, 5], ids=["by day", "by minute"])
@pytest.mark.parametrize("order", [Order.TIME, Order.FILE])
def test_nothing_comes_before_its_offset_and_nothing_after_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Order, part_rows: int
) -> None:
    monkeypatch.setattr("clickstream_guardian.sources.spool._PART_ROWS", part_rows)
    file = source(tmp_path, order)
    everything = read(file, 0)
    assert len(everything) == 40
    for start in range(file.end):
        assert read(file, start) == [pair for pair in everything if pair[0] >= start]
