"""What a live step costs, however few events it brings: one bucket of four of a dense stream.

    PYTHONPATH=. python bench/step.py

The stream is that of `bench/detect_kafka.py` (10 % of the events in 4 hot sessions), a quarter of
its sessions, judged by the rules of live detection. 30 s are judged first; then the steps of 9 s
are timed, at each distance of steps. A process that owns four buckets takes four such steps in a
turn.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import polars as pl

from bench.core import CATALOGUE, dense, disturbed
from bench.machine import write
from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.pipelines.live import split_rules

BUCKETS = 4
WARM_SECONDS, SECONDS = 30, 9
CONFIG = DetectorConfig(split_rules(CATALOGUE.rules)[0])


def steps(rate: int, distance: float) -> dict[str, Any]:
    """Processor and wall milliseconds of a step, when steps are so many seconds apart."""
    events = disturbed(dense(rate * (WARM_SECONDS + SECONDS), rate, 0.1, 4))
    mine = events.filter(pl.col("session_id").cast(pl.Int64) % BUCKETS == 0)
    at = np.maximum.accumulate(mine["occurred_at"].to_physical().to_numpy())
    seconds = [*range(1, WARM_SECONDS), *np.arange(WARM_SECONDS, WARM_SECONDS + SECONDS, distance)]
    cuts = np.searchsorted(at, at[0] + np.array(seconds) * 1e6)
    state, key, done = BucketState(), PartitionKey("bench", 0), 0
    wall, cpu = [], []
    for end in map(int, cuts):
        begun, used = time.perf_counter(), time.process_time()
        state = advance(CONFIG, state, [Arrival(key, mine[done:end], end)]).state
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - used)
        done = end
    timed = slice(WARM_SECONDS, None)
    return {
        "distance_seconds": distance,
        "events": round(rate / BUCKETS * distance),
        "state_rows": state.log_size,
        "cpu_ms": round(float(np.mean(cpu[timed])) * 1e3, 1),
        "wall_ms": round(float(np.mean(wall[timed])) * 1e3, 1),
        "wall_p90_ms": round(float(np.quantile(wall[timed], 0.9)) * 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=15_000)
    parser.add_argument("--distances", type=float, nargs="*", default=[0.1, 0.3, 1.0])
    asked = parser.parse_args()
    write("step", {"rate": asked.rate, "steps": [steps(asked.rate, d) for d in asked.distances]})


if __name__ == "__main__":
    main()
