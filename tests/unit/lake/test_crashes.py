"""Killed between any two steps, the next run goes on: no row lost, none twice, no litter."""

from __future__ import annotations

import random
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.model import Orphans

from .conftest import OpenLake
from .crashing import HOURS, TOTAL, kill_after, start, work
from .rows import FILE, landed_offsets, paths

POINTS = [
    ("file written", 1),
    ("file written", 13),
    ("before commit", 1),
    ("before commit", 3),
    ("half a metadata file written", 8),
    ("metadata file written", 4),
    ("metadata file written", 5),
    ("metadata file written", 6),
    ("metadata file written", 9),
    ("catalog changed", 1),
    ("catalog changed", 4),
    ("committed", 2),
    ("file written", 21),
    ("before compaction commit", 1),
    ("metadata file written", 17),
    ("metadata file written", 19),
    ("catalog changed", 5),
    ("compaction committed", 1),
    ("orphan removed", 1),
    ("orphan removed", 9),
]


def assert_whole(lake: Lake) -> None:
    """Exactly the rows before the stored position are there."""
    position = lake.positions("clicks").get(FILE, 0)
    assert landed_offsets(lake) == list(range(position))


def assert_finished(lake: Lake, warehouse: Path) -> None:
    """The lake is as an undisturbed run leaves it."""
    assert lake.positions("clicks") == {FILE: TOTAL}
    assert_whole(lake)
    assert len(lake.data_files("clicks")) == HOURS
    assert {str(path) for path in warehouse.rglob("*.parquet")} == set(paths(lake))
    assert lake.remove_orphans("clicks", grace=timedelta(0)) == Orphans()


@pytest.mark.parametrize(("point", "occurrence"), POINTS)
def test_the_next_run_goes_on(
    open_here: OpenLake, catalog_uri: str, warehouse: Path, point: str, occurrence: int
) -> None:
    killed = start(catalog_uri, warehouse, point, occurrence)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    lake = open_here()
    assert_whole(lake)
    work(lake)
    assert_finished(lake, warehouse)


def test_killed_at_random_moments_it_still_finishes(
    open_here: OpenLake, catalog_uri: str, warehouse: Path
) -> None:
    chance = random.Random(20140407)
    for _ in range(12):
        kill_after(start(catalog_uri, warehouse), chance.uniform(0.05, 0.9))
        assert_whole(open_here())
    lake = open_here()
    work(lake)
    assert_finished(lake, warehouse)
