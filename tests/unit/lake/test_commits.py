"""Commits of files and positions: atomic, compare-and-swap, safe against rivals."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.model import PositionConflictError, SourcePartition
from clickstream_guardian.store.embedded import EmbeddedServer

from .conftest import OpenLake
from .rows import FILE, clicks, land, landed_offsets, paths

TOPIC = SourcePartition("clicks.v1", 3)


def just_before_the_catalog_changes(lake: Lake, rival: Callable[[], None]) -> None:
    """Let a rival commit in the last moment at which it can: metadata read, row not yet swapped."""
    catalog = lake._catalog
    commit_table = catalog.commit_table
    waiting = [rival]

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if waiting:
            waiting.pop()()
        return commit_table(*args, **kwargs)

    catalog.commit_table = interrupted  # type: ignore[method-assign]


def test_positions_move_with_the_files(lake: Lake) -> None:
    assert lake.positions("clicks") == {}
    land(lake, 0, 10)
    land(lake, 10, 5)
    assert lake.positions("clicks") == {FILE: 15}
    assert lake.positions("rejected") == {}


def test_a_commit_may_move_positions_alone(lake: Lake) -> None:
    lake.commit("clicks", None, {FILE: 7}, {})
    land(lake, 7, 3)
    lake.commit("clicks", None, {FILE: 12, TOPIC: 4}, {FILE: 10})
    assert lake.positions("clicks") == {FILE: 12, TOPIC: 4}
    assert landed_offsets(lake) == [7, 8, 9]


def test_several_writes_are_one_commit(lake: Lake) -> None:
    first = lake.write_files("clicks", clicks(0, 10))
    second = lake.write_files("clicks", clicks(10, 10))
    lake.commit("clicks", first + second, {FILE: 20}, {})
    assert len(lake.iceberg_table("clicks").snapshots()) == 1
    assert landed_offsets(lake) == list(range(20))


def test_a_stale_expectation_lands_nothing(open_here: OpenLake) -> None:
    one, other = open_here(), open_here()
    staged = other.write_files("clicks", clicks(0, 10))
    land(one, 0, 4)
    with pytest.raises(PositionConflictError, match=r"a3f0\.0 stands at 4, not at 0"):
        other.commit("clicks", staged, {FILE: 10}, {})
    assert landed_offsets(one) == [0, 1, 2, 3]
    assert one.positions("clicks") == {FILE: 4}
    assert other.remove_orphans("clicks").data_files == 1


@pytest.mark.parametrize("with_files", [True, False])
def test_a_rival_in_the_last_moment_is_noticed(open_here: OpenLake, with_files: bool) -> None:
    one, rival = open_here(), open_here()
    staged = one.write_files("clicks", clicks(0, 10)) if with_files else None
    just_before_the_catalog_changes(one, lambda: land(rival, 0, 4))
    with pytest.raises(PositionConflictError, match="stands at 4"):
        one.commit("clicks", staged, {FILE: 10}, {})
    assert landed_offsets(one) == [0, 1, 2, 3]
    assert one.positions("clicks") == {FILE: 4}


@pytest.mark.parametrize("with_files", [True, False])
def test_a_rival_with_other_sources_is_no_conflict(open_here: OpenLake, with_files: bool) -> None:
    one, rival = open_here(), open_here()
    staged = one.write_files("clicks", clicks(0, 10)) if with_files else None
    other = rival.write_files("clicks", clicks(100, 5, source=TOPIC))
    just_before_the_catalog_changes(
        one, lambda: rival.commit("clicks", other, {TOPIC: 105}, {TOPIC: 0})
    )
    one.commit("clicks", staged, {FILE: 10}, {FILE: 0})
    assert one.positions("clicks") == {FILE: 10, TOPIC: 105}
    assert len(landed_offsets(one)) == (15 if with_files else 5)


def test_of_many_rivals_exactly_one_wins(open_here: OpenLake) -> None:
    lakes = [open_here() for _ in range(4)]
    staged = [lake.write_files("clicks", clicks(0, 10 + i)) for i, lake in enumerate(lakes)]
    outcomes: list[str] = []

    def commit(number: int) -> None:
        try:
            lakes[number].commit("clicks", staged[number], {FILE: 10 + number}, {FILE: 0})
            outcomes.append("won")
        except PositionConflictError:
            outcomes.append("lost")

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost", "lost", "lost", "won"]
    assert landed_offsets(lakes[0]) == list(range(lakes[0].positions("clicks")[FILE]))


def test_without_expectation_positions_still_never_go_back(lake: Lake) -> None:
    lake.commit("clicks", None, {FILE: 10}, None)
    lake.commit("clicks", None, {FILE: 12}, None)
    with pytest.raises(PositionConflictError, match="stands at 12"):
        lake.commit("clicks", None, {FILE: 11}, None)
    with pytest.raises(GuardianError, match=r"Position 11 of a3f0.0 lies before 12"):
        lake.commit("clicks", None, {FILE: 11}, {FILE: 12})


def test_positions_must_lie_behind_the_files(lake: Lake) -> None:
    staged = lake.write_files("clicks", clicks(0, 10))
    with pytest.raises(GuardianError, match=r"holds offset 9 of a3f0.0 .* give at least 10"):
        lake.commit("clicks", staged, {FILE: 9}, {})
    with pytest.raises(GuardianError, match="moves its position to None"):
        lake.commit("clicks", staged, {}, {})
    assert lake.positions("clicks") == {}


def test_rows_landed_already_are_not_written_again(lake: Lake) -> None:
    land(lake, 0, 10)
    before = {path: Path(path).stat().st_mtime_ns for path in paths(lake)}
    with pytest.raises(PositionConflictError, match=r"Offset 0 of a3f0.0 .* position 10"):
        lake.write_files("clicks", clicks(0, 10))
    assert {path: Path(path).stat().st_mtime_ns for path in paths(lake)} == before


def test_a_batch_written_again_overwrites_itself(lake: Lake, warehouse: Path) -> None:
    first = lake.write_files("clicks", clicks(0, 10))
    again = lake.write_files("clicks", clicks(0, 10))
    assert [file.file_path for file in first.files] == [file.file_path for file in again.files]
    assert len(list(warehouse.rglob("*.parquet"))) == 1
    lake.commit("clicks", again, {FILE: 10}, {})
    assert landed_offsets(lake) == list(range(10))


def test_another_cut_of_the_batch_has_other_names(lake: Lake) -> None:
    long, short = (lake.write_files("clicks", clicks(0, count)) for count in (10, 9))
    assert long.files[0].file_path != short.files[0].file_path


def test_a_disk_that_takes_no_more_is_one_sentence_and_leaves_no_litter(lake: Lake) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(GuardianError, match=r"^Writing raw\.clicks failed: File too large; "):
            lake.write_files("clicks", clicks(0, 600, every=timedelta(minutes=1)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert lake.remove_orphans("clicks").data_files > 0
    land(lake, 0, 600, every=timedelta(minutes=1))
    assert lake.remove_orphans("clicks").data_files == 0
    assert landed_offsets(lake) == list(range(600))


def test_files_of_one_table_do_not_go_into_another(lake: Lake) -> None:
    staged = lake.write_files("clicks", clicks(0, 10))
    with pytest.raises(GuardianError, match="staged for clicks cannot be committed to purchases"):
        lake.commit("purchases", staged, {FILE: 10}, {})


def test_what_the_manifest_says_of_a_file_is_so(lake: Lake) -> None:
    land(lake, 0, 10)
    file = lake.data_files("clicks")[0]
    assert (file.rows, file.bytes) == (10, Path(file.path).stat().st_size)


def test_a_database_gone_is_one_sentence_and_nothing_is_landed(
    lake: Lake, open_here: OpenLake, catalog_uri: str, lake_server: EmbeddedServer
) -> None:
    land(lake, 0, 4)
    staged = lake.write_files("clicks", clicks(4, 6))
    admin = create_engine(lake_server.admin_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    name = make_url(catalog_uri).database
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": name},
        )
        try:
            with pytest.raises(GuardianError, match=r"the catalog database said .* nothing landed"):
                lake.commit("clicks", staged, {FILE: 10}, {FILE: 4})
        finally:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    assert lake.positions("clicks") == {FILE: 4}
    lake.commit("clicks", staged, {FILE: 10}, {FILE: 4})
    assert landed_offsets(open_here()) == list(range(10))
