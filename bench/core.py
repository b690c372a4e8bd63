"""Core: the detector alone, from memory, in batches of 10,000: the given rules, dedup, lateness.

Run: `python bench/core.py`. The streams: a generated week as it was (sparse), and dense ones at a
given rate of event time with hot sessions, which is what a live stream at that rate looks like.
The baseline in the same run is Polars on the finished week, the first rule alone, with neither
repeats nor lateness nor state: machines differ, so read the ratio.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.machine import write
from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.rules.loader import load_catalogue
from clickstream_guardian.sources.replay import FileSource, batches
from clickstream_guardian.sources.spool import Order, build_spool

BATCH = 10_000
GIVEN = DetectorConfig(
    tuple(rule for rule in load_catalogue() if rule.name in ("HIGH_FREQUENCY", "BOT_LIKE"))
)
CATALOGUE = DetectorConfig(load_catalogue()).of(CLICK.name)
TIMED = {rule.name for rule in CATALOGUE.running}
"""Told as soon as they are crossed; a rule on a whole window waits for its close."""


def generated_days(folder: Path) -> pl.DataFrame:
    """A week of generated clicks in event-time order, attacks included."""
    write_dataset(folder, days=(date(2014, 4, 7), date(2014, 4, 13)), seed=1)
    path = folder / "yoochoose-clicks.dat"
    now = datetime.now(UTC)
    spool = build_spool(folder / "spool", path, CLICK, Order.TIME, now)
    file = FileSource("bench", path, CLICK, now, spool)
    parts = [part.events for batch in batches([file], {}) for part in batch.parts]
    return pl.concat([part for part in parts if len(part)])


def dense(
    count: int, rate: float, hot_share: float, hot_sessions: int, seed: int = 1, start_us: int = 0
) -> pl.DataFrame:
    """A live-looking stream: sessions of about 150 s that come and go, some of them hot.

    ``start_us`` is into the stream, where this is a part of it.
    """
    chance = np.random.default_rng(seed)
    at = np.sort((chance.random(count) * count / rate * 1e6).astype(np.int64) // 1000 * 1000)
    at += start_us
    alive = max(1, int(rate * 150 / 3.57))
    session = at // 500_000_000 * alive + chance.integers(0, alive, count)
    hot = chance.random(count) < hot_share
    session = np.where(hot, 10**9 + chance.integers(0, hot_sessions, count), session)
    item = np.where(hot, chance.integers(0, 5, count), chance.integers(0, 50_000, count))
    return pl.DataFrame(
        {
            "session_id": session.astype(str),
            "occurred_at": pl.Series(at + 1_396_872_000_000_000).cast(pl.Datetime("us", "UTC")),
            "item_id": (214_500_000 + item).astype(str),
            "event_id": pl.Series(chance.integers(0, 2**63, count)).cast(pl.UInt128),
        }
    )


def disturbed(events: pl.DataFrame, seed: int = 2) -> pl.DataFrame:
    """0.1 % repeats, and 0.1 % of the events 15 s late."""
    chance = np.random.default_rng(seed)
    place = np.arange(len(events), dtype=np.float64)
    repeats = chance.random(len(events)) < 0.001
    late = chance.random(len(events)) < 0.001
    at = events["occurred_at"].to_physical().to_numpy()
    place[late] = np.searchsorted(at, at[late] + 15_000_000)
    both = pl.concat([events, events.filter(repeats)])
    order = np.argsort(np.concatenate([place, place[repeats] + 100]), kind="stable")
    return both[order]


def run(events: pl.DataFrame, config: DetectorConfig = GIVEN) -> dict[str, Any]:
    """Drive the detector; processor and wall seconds, anomalies, late events."""
    state, key = BucketState(), PartitionKey("bench", 0)
    found: set[str] = set()
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(events), BATCH):
        part = events.slice(start, BATCH)
        step = advance(config, state, [Arrival(key, part, start + len(part))])
        state = step.state
        found |= {anomaly.anomaly_id for anomaly in step.anomalies}
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "events": len(events),
        "events_per_second": round(len(events) / wall),
        "cpu_us_per_event": round(cpu / len(events) * 1e6, 2),
        "anomalies": len(found),
        "late": state.partitions[key].late_count,
        "log_at_end": state.log_size,
    }


def finished(events: pl.DataFrame) -> dict[str, Any]:
    """The baseline: sessions with 50 clicks in a tumbling window of 10 s, all events at hand."""
    wall = time.perf_counter()
    windows = events.group_by("session_id", pl.col("occurred_at").dt.truncate("10s")).len()
    found = windows.filter(pl.col("len") >= 50)
    wall = time.perf_counter() - wall
    return {"events_per_second": round(len(events) / wall), "windows": len(found)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        week = generated_days(Path(folder))
    streams = {
        "generated week": week,
        "generated week, 0.1 % repeats, 0.1 % late": disturbed(week),
        "15,000/s, 10 % in 4 hot sessions": disturbed(dense(1_500_000, 15_000, 0.1, 4)),
        "15,000/s, 90 % in 1 session": disturbed(dense(1_500_000, 15_000, 0.9, 1)),
        "100,000/s, 10 % in 4 hot sessions": disturbed(dense(3_000_000, 100_000, 0.1, 4)),
        "100,000/s, 90 % in 1 session": disturbed(dense(3_000_000, 100_000, 0.9, 1)),
    }
    run(week.head(100_000))
    finished(week.head(100_000))
    baseline = finished(week)
    results = {name: run(stream) for name, stream in streams.items()}
    results["generated week, all rules on clicks"] = run(week, CATALOGUE)
    write("core", {"batch": BATCH, "polars_on_finished_week": baseline, "streams": results})


if __name__ == "__main__":
    main()
