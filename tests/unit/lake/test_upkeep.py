"""History and folder stay small over hundreds of commits; nothing that is named is removed."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.local_io import local_path

from .conftest import OpenLake
from .rows import FILE, MIDNIGHT, clicks, land, landed_offsets, paths

NOW = timedelta(0)


def metadata_files(warehouse: Path) -> list[Path]:
    return list((warehouse / "raw" / "clicks" / "metadata").iterdir())


def test_metadata_stays_small_over_300_commits(lake: Lake, warehouse: Path) -> None:
    sizes = []
    for number in range(300):
        land(lake, number * 2, 2, at=MIDNIGHT + timedelta(minutes=number))
        sizes.append(local_path(lake.iceberg_table("clicks").metadata_location).stat().st_size)
    table = lake.iceberg_table("clicks")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert len(table.snapshots()) <= 25
    assert len(snapshot.manifests(table.io)) <= 26
    assert max(sizes[200:]) <= max(sizes[:100]) * 1.1
    lake.remove_orphans("clicks", grace=NOW)
    assert len(metadata_files(warehouse)) <= 100
    assert landed_offsets(lake) == list(range(600))


def test_positions_alone_grow_no_history(lake: Lake, warehouse: Path) -> None:
    for number in range(60):
        lake.commit("clicks", None, {FILE: number + 1}, {FILE: number})
    assert lake.iceberg_table("clicks").snapshots() == []
    assert len(metadata_files(warehouse)) <= 12


def test_files_never_committed_are_removed(open_here: OpenLake, warehouse: Path) -> None:
    crashed = open_here()
    crashed.write_files("clicks", clicks(0, 100, every=timedelta(minutes=1)))
    lake = open_here()
    land(lake, 0, 10)
    removed = lake.remove_orphans("clicks")
    assert (removed.data_files, removed.bytes > 0) == (2, True)
    assert sorted(map(str, warehouse.rglob("*.parquet"))) == sorted(paths(lake))


def test_files_waiting_for_their_commit_stay(lake: Lake) -> None:
    staged = lake.write_files("clicks", clicks(0, 10))
    assert lake.remove_orphans("clicks", grace=NOW).data_files == 0
    lake.commit("clicks", staged, {FILE: 10}, {})
    assert lake.remove_orphans("clicks", grace=NOW).data_files == 0
    assert landed_offsets(lake) == list(range(10))


def test_young_nameless_metadata_stays_for_readers_that_plan(lake: Lake, warehouse: Path) -> None:
    folder = warehouse / "raw" / "clicks" / "metadata"
    young, old = folder / "young.avro", folder / "old.avro"
    young.touch()
    old.touch()
    an_hour_ago = time.time() - 3600
    os.utime(old, (an_hour_ago, an_hour_ago))
    assert lake.remove_orphans("clicks").metadata_files == 1
    assert (young.exists(), old.exists()) == (True, False)


def test_nothing_is_removed_when_a_named_file_is_gone(lake: Lake, warehouse: Path) -> None:
    land(lake, 0, 10)
    Path(paths(lake)[0]).unlink()
    stray = warehouse / "raw" / "clicks" / "data" / "stray.parquet"
    stray.touch()
    with pytest.raises(GuardianError, match=r"lacks 1 of its files, first .* restore"):
        lake.remove_orphans("clicks")
    assert stray.exists()


def test_an_empty_table_can_be_tidied(lake: Lake) -> None:
    assert lake.expire_snapshots("clicks") == 0
    assert lake.remove_orphans("clicks", grace=NOW).data_files == 0


def test_a_reader_goes_on_while_a_writer_tidies_under_it(open_here: OpenLake) -> None:
    reader, writer = open_here(), open_here()
    for number in range(40):
        land(writer, number * 2, 2)
        if number % 5 == 0:
            writer.expire_snapshots("clicks", NOW)
            writer.remove_orphans("clicks", grace=NOW)
        assert landed_offsets(reader) == list(range(number * 2 + 2))


def test_the_newest_snapshot_of_the_sink_is_kept(lake: Lake) -> None:
    land(lake, 0, 1)
    marks = {}
    for number in range(3):
        mark = {"kafka.connect.offsets.landing-clicks.group": f'{{"0":{number}}}'}
        table = lake.iceberg_table("clicks")
        table.append(table.scan().to_arrow(), snapshot_properties=mark)
        marks[number] = lake.iceberg_table("clicks").metadata.current_snapshot_id
    for number in range(12):
        land(lake, 1 + number, 1)
    lake.expire_snapshots("clicks", NOW)
    left = {snapshot.snapshot_id for snapshot in lake.iceberg_table("clicks").snapshots()}
    assert left & set(marks.values()) == {marks[2]}
