from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.engines.spark import state_cache
from clickstream_guardian.engines.spark.state_cache import StateCache
from clickstream_guardian.rules.loader import load_catalogue

CONFIG = DetectorConfig(load_catalogue()).of("click")
KEY = PartitionKey("clicks.v1", 0)


def clicks(seconds: list[float], session: str = "s") -> pl.DataFrame:
    at = 1_396_864_800_000_000 + (np.array(seconds) * 1e6).astype(np.int64)
    return pl.DataFrame(
        {
            "session_id": [session] * len(at),
            "occurred_at": pl.Series(at).cast(pl.Datetime("us", "UTC")),
            "item_id": ["i"] * len(at),
            "event_id": pl.Series(at).cast(pl.UInt128),
        }
    )


def fed(state: BucketState, seconds: list[float]) -> BucketState:
    done = state.partitions[KEY].next_offset if KEY in state.partitions else 0
    arrival = Arrival(KEY, clicks(seconds), done + len(seconds))
    return advance(CONFIG, state, [arrival]).state


@pytest.fixture(autouse=True)
def another_process() -> None:
    """What a state is loaded into is usually not the process that kept it."""
    state_cache._known.clear()


def test_a_state_that_was_kept_goes_on_as_itself(tmp_path: Path) -> None:
    cache = StateCache(tmp_path / "states", "f")
    state = fed(fed(BucketState(), [0.0] * 30), [1.0] * 30)
    cache.save(KEY, 1, state)
    state_cache._known.clear()
    loaded = cache.load(KEY, 1)
    assert loaded is not None
    for rest in ([2.0] * 10, [40.0]):
        arrival = Arrival(KEY, clicks(rest), 100)
        ours, theirs = advance(CONFIG, state, [arrival]), advance(CONFIG, loaded, [arrival])
        assert ours.anomalies == theirs.anomalies
        state, loaded = ours.state, theirs.state
    assert state.reported == loaded.reported


def test_the_log_is_written_once(tmp_path: Path) -> None:
    cache = StateCache(tmp_path / "states", "f")
    state = fed(BucketState(), [0.0, 1.0])
    cache.save(KEY, 1, state)
    first = {file.name for file in (tmp_path / "states/clicks.v1-0").glob("chunk-*")}
    cache.save(KEY, 2, fed(state, [2.0]))
    second = {file.name for file in (tmp_path / "states/clicks.v1-0").glob("chunk-*")}
    assert first
    assert first < second


def test_the_last_two_states_are_kept(tmp_path: Path) -> None:
    cache = StateCache(tmp_path / "states", "f")
    state = BucketState()
    for generation in range(1, 5):
        state = fed(state, [float(generation) * 100])
        cache.save(KEY, generation, state)
    assert cache.load(KEY, 2) is None
    assert cache.load(KEY, 3) is not None
    assert cache.load(KEY, 4) is not None
    kept = [file.name for file in (tmp_path / "states/clicks.v1-0").glob("chunk*")]
    assert not any(name.startswith(("chunks-1", "chunks-2")) for name in kept)


def test_other_rules_or_another_run_see_no_state(tmp_path: Path) -> None:
    StateCache(tmp_path / "states", "f").save(KEY, 1, BucketState())
    assert StateCache(tmp_path / "states", "g").load(KEY, 1) is None


def test_a_damaged_state_is_no_state(tmp_path: Path) -> None:
    cache = StateCache(tmp_path / "states", "f")
    cache.save(KEY, 1, fed(BucketState(), [0.0]))
    state_cache._known.clear()
    for chunk in (tmp_path / "states/clicks.v1-0").glob("chunk-*"):
        chunk.write_bytes(b"")
    assert cache.load(KEY, 1) is None
    (tmp_path / "states/clicks.v1-0/state-1").write_bytes(b"\x80")
    assert cache.load(KEY, 1) is None
    assert cache.load(KEY._replace(partition=7), 1) is None


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "states"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="us alone"):
        StateCache(folder, "f")
