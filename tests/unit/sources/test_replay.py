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
    """Two days of forty clicks in no order of time, a bad line among them."""
    lines = [f"{n % 3},2014-04-0{7 + n % 2}T10:{59 - n:02d}:00Z,{n},0" for n in range(40)]
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


@pytest.mark.parametrize("order", [Order.TIME, Order.FILE])
def test_nothing_comes_before_its_offset_and_nothing_after_it_is_missing(
    tmp_path: Path, order: Order
) -> None:
    file = source(tmp_path, order)
    everything = read(file, 0)
    assert len(everything) == 40
    for start in range(file.end):
        assert read(file, start) == [pair for pair in everything if pair[0] >= start]
