"""Checkpoints are replaced whole, and only by who knows the last one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clickstream_guardian.store.anomalies import upsert_anomalies
from clickstream_guardian.store.checkpoints import (
    CheckpointConflictError,
    load_checkpoint,
    save_checkpoint,
)
from clickstream_guardian.store.database import Store
from tests.unit.store.samples import ANOMALY, CHECKPOINT, POSITION


def test_there_is_none_before_the_first(store: Store) -> None:
    with store.begin() as connection:
        assert load_checkpoint(connection, "replay") is None


def test_what_is_saved_is_loaded(store: Store) -> None:
    with store.begin() as connection:
        assert save_checkpoint(connection, CHECKPOINT, 0) == 1
    with store.begin() as connection:
        assert load_checkpoint(connection, "replay") == replace(CHECKPOINT, generation=1)


def test_positions_are_replaced_whole_and_come_in_order(store: Store) -> None:
    positions = tuple(replace(POSITION, source=source) for source in ("B", "a", "Z"))
    with store.begin() as connection:
        save_checkpoint(connection, replace(CHECKPOINT, positions=positions), 0)
        changed = replace(positions[1], next_offset=900, resume_max_at=None, ended=True)
        kept = (positions[0], changed)
        save_checkpoint(connection, replace(CHECKPOINT, positions=kept, closed_until=None), 1)
        loaded = load_checkpoint(connection, "replay")
    assert loaded == replace(CHECKPOINT, generation=2, closed_until=None, positions=kept)


def test_no_positions_at_all(store: Store) -> None:
    with store.begin() as connection:
        save_checkpoint(connection, CHECKPOINT, 0)
        save_checkpoint(connection, replace(CHECKPOINT, positions=()), 1)
        loaded = load_checkpoint(connection, "replay")
    assert loaded == replace(CHECKPOINT, generation=2, positions=())


@pytest.mark.parametrize("expected", [0, 2, 7])
def test_a_generation_that_passed_is_refused(store: Store, expected: int) -> None:
    with store.begin() as connection:
        save_checkpoint(connection, CHECKPOINT, 0)
    with (
        pytest.raises(CheckpointConflictError, match=r"'replay'.*stop one"),
        store.begin() as connection,
    ):
        save_checkpoint(connection, CHECKPOINT, expected)


def test_a_refused_save_takes_the_anomalies_with_it(store: Store) -> None:
    def write() -> None:
        with store.begin() as connection:
            upsert_anomalies(connection, {"": [ANOMALY]})
            save_checkpoint(connection, CHECKPOINT, 5)

    with pytest.raises(CheckpointConflictError):
        write()
    with store.begin() as connection:
        assert upsert_anomalies(connection, {"": [ANOMALY]}).inserted == 1


def test_groups_do_not_meet(store: Store) -> None:
    with store.begin() as connection:
        save_checkpoint(connection, CHECKPOINT, 0)
        other = replace(CHECKPOINT, group_name="live", positions=())
        save_checkpoint(connection, other, 0)
        assert load_checkpoint(connection, "replay") == replace(CHECKPOINT, generation=1)
