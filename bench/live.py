"""Live: a stream at the rate of a shop, from hand-over to the anomaly readable in PostgreSQL.

Run: `python bench/live.py [--seconds 60] [--rates 15000 50000 100000]`. The whole pipeline runs:
the file is read, paced in real time, landed in the lake, judged, and saved. The latency of an
anomaly is from the moment its crossing event is due to the moment its row is committed; it holds
the 0.1 s tick in which events are handed over. The hot-key row has 90 % of the same number of
events in one session; its ratio compares processor seconds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from bench.core import GIVEN, TIMED, dense
from bench.machine import write
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import DetectorConfig
from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.lake.lake import open_lake
from clickstream_guardian.metrics.loader import load_metrics
from clickstream_guardian.pipelines.home import Home
from clickstream_guardian.pipelines.pace import Pace
from clickstream_guardian.pipelines.replay import Parts, Request, Saved, replay
from clickstream_guardian.settings import load_settings
from clickstream_guardian.store import open_store


class Stopwatch:
    """Notes when each anomaly was first readable."""

    def __init__(self, first_us: int) -> None:
        self.first_us = first_us
        self.started: float | None = None
        self.latencies: dict[str, float] = {}
        self.steps: list[tuple[float, float, float]] = []
        self.threads: list[tuple[float, dict[str, float]]] = []

    def clock(self) -> float:
        """The pace's clock; its first reading is the moment the stream starts."""
        now = time.perf_counter()
        if self.started is None:
            self.started, self.cpu_from = now, time.process_time()
        return now

    def begin(self, work: str, _total: int | None) -> None:
        """Processor time of the stream ends where the days' numbers begin."""
        if work == "Computing days":
            self.cpu = time.process_time() - self.cpu_from
            self.wall = time.perf_counter() - (self.started or 0)

    def advance(self, amount: int) -> None:
        """Progress is not looked at."""

    def saved(self, batch: Saved) -> None:
        """Keep seconds since the start, of the step, and behind the stream."""
        at = time.perf_counter() - (self.started or 0)
        if len(self.steps) % 10 == 0:
            self.threads.append((at, _processor_seconds()))
        self.steps.append((at, batch.seconds, batch.behind_seconds))

    def found(self, anomalies: Sequence[Anomaly]) -> None:
        """Rows are committed now."""
        now = time.perf_counter()
        for anomaly in anomalies:
            if anomaly.rule not in TIMED:
                continue
            crossed_us = int(anomaly.first_crossed_at.timestamp() * 1e6)
            due = (self.started or 0) + (crossed_us - self.first_us) / 1e6
            self.latencies.setdefault(anomaly.anomaly_id, now - due)


def _processor_seconds() -> dict[str, float]:
    """Processor seconds of this process so far, by the name of the thread; libraries' as one."""
    names = {thread.native_id: thread.name.partition("_")[0] for thread in threading.enumerate()}
    found: defaultdict[str, float] = defaultdict(float)
    for one in psutil.Process().threads():
        found[names.get(one.id, "libraries")] += one.user_time + one.system_time
    return dict(found)


def write_stream(path: Path, events: pl.DataFrame) -> int:
    """The stream as a file with given ids; the first event's time in microseconds."""
    as_lines(events).write_csv(path, include_header=False)
    return int(events["occurred_at"].to_physical()[0])


def as_lines(events: pl.DataFrame) -> pl.DataFrame:
    """The columns of a file with given ids."""
    return events.select(
        "session_id",
        pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
        "item_id",
        pl.lit("0"),
        pl.col("event_id").cast(pl.String),
    )


def stream(events: pl.DataFrame, config: DetectorConfig) -> Stopwatch:
    """One stream through a fresh home, in real time; what was noted meanwhile."""
    home = Path(tempfile.mkdtemp(prefix="guardian-live-"))
    home.chmod(0o755)
    try:
        path = home / "clicks.dat"
        watch = Stopwatch(write_stream(path, events))
        settings = load_settings(home=home)
        with (
            open_store(settings) as store,
            open_lake(store.catalog_uri, home / "lake") as lake,
            DuckDbEngine(lake, home / "tmp") as engine,
        ):
            parts = Parts(Home(home), store, lake, engine, tuple(load_metrics()), config)
            pace = Pace(1.0, watch.clock)
            replay(parts, Request(((path, CLICK),)), pace, watch)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return watch


def run(events: pl.DataFrame, seconds: float) -> dict[str, Any]:
    """One stream under the two given rules, measured."""
    watch = stream(events, GIVEN)
    latencies = np.array(list(watch.latencies.values())) * 1000
    return {
        "events": len(events),
        "held": watch.wall < seconds * 1.05 + 1,
        "stream_seconds": round(watch.wall, 1),
        "cpu_seconds": round(watch.cpu, 2),
        "anomalies": len(latencies),
        "latency_ms": {
            f"p{p}": round(float(np.percentile(latencies, p))) for p in (50, 95, 99, 100)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rates", type=int, nargs="+", default=[15_000, 50_000, 100_000])
    options = parser.parse_args()
    rows = {}
    for rate in options.rates:
        count = int(rate * options.seconds)
        spread = run(dense(count, rate, 0.1, 4), options.seconds)
        hot = run(dense(count, rate, 0.9, 1), options.seconds)
        rows[f"{rate}/s, 10 % in 4 hot sessions"] = spread
        rows[f"{rate}/s, 90 % in 1 session"] = hot
        rows[f"{rate}/s, hot key's processor ratio"] = round(
            hot["cpu_seconds"] / spread["cpu_seconds"], 2
        )
    write("live", {"seconds": options.seconds, "streams": rows})


if __name__ == "__main__":
    main()
