"""Live detection by the embedded engine, beside three brokers and the producer on the same cores.

    eval "$(guardian stack env)" && PYTHONPATH=. python bench/detect_kafka.py

Needs a running stack with topics and schemas; makes a database of its own. 10 % of the events are
in 4 hot sessions, 0.1 % are repeats, 0.1 % late. *Drain* is a backlog that lies on the log when the
detector starts. *Paced* sends each event at its own time; the latency of an anomaly is from the
event at which it crossed to the moment its row is readable, looked for every 20 ms; it holds the
20 ms in which events are handed over and the producer's own linger of 20 ms. The first 6 s of each
rate are not looked at.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import psutil
import psycopg

from bench.core import TIMED, dense, disturbed
from bench.machine import write
from bench.produce import cpu_seconds
from clickstream_guardian.chaos.cluster.load import open_producer
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.settings import Settings, load_settings
from clickstream_guardian.sources.kafka.files import as_events
from clickstream_guardian.sources.kafka.producer import EventProducer
from clickstream_guardian.store.database import open_store
from clickstream_guardian.store.snapshots import list_progress

TICK_US = 20_000
WARM_SECONDS = 6
GUARDIAN = Path(sys.executable).with_name("guardian")


class Detector:
    """A detector process of a group of its own, and what it has noted."""

    def __init__(self, store: Any, database: str, start: str) -> None:
        self.store, self.database = store, database
        self.group = f"bench-{time.time_ns()}"
        self.command = [str(GUARDIAN), "-q", "detect", "--group", self.group, "--from", start]
        self.run()

    def run(self) -> None:
        environment = os.environ | {"DATABASE_URL": self.database}
        self.process = subprocess.Popen(self.command, env=environment)

    def progress(self) -> list[Any]:
        self.check_alive()
        with self.store.begin() as connection:
            return [one for one, _ in list_progress(connection) if one.group == self.group]

    def check_alive(self) -> None:
        """Raise if the process has ended by itself; it has said why."""
        if self.process.poll() is not None:
            raise SystemExit("Detection ended before it was told to: see its message above.")

    @property
    def messages(self) -> int:
        return sum(one.messages for one in self.progress())

    def wait_pinned(self) -> None:
        """Until every bucket's beginning is stored."""
        query = "SELECT count(*) FROM detector_positions WHERE group_name LIKE %s"
        with psycopg.connect(self.database, autocommit=True) as connection:
            while connection.execute(query, (f"kafka:{self.group}:%",)).fetchone() != (8,):
                self.check_alive()
                time.sleep(0.2)

    def cpu(self) -> float:
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def produced(producer: EventProducer, events: pl.DataFrame) -> float:
    """Send all at once; seconds until acknowledged."""
    begun = time.monotonic()
    for part in events.iter_slices(50_000):
        producer.send(CLICK, as_events(part, CLICK))
    producer.flush()
    return time.monotonic() - begun


def drain(store: Any, database: str, producer: EventProducer, count: int) -> dict[str, Any]:
    """A backlog of a stream at 15,000/s, from the first message judged to the last one saved."""
    detector = Detector(store, database, "latest")
    detector.wait_pinned()
    detector.stop()
    events = disturbed(dense(count, 15_000, 0.1, 4))
    producing = produced(producer, events)
    brokers = cpu_seconds("kafka.Kafka")
    detector.run()
    while (first := detector.messages) == 0:
        time.sleep(0.02)
    begun, cpu = time.monotonic(), detector.cpu()
    while (judged := detector.messages) < len(events):
        time.sleep(0.05)
    seconds, used = time.monotonic() - begun, detector.cpu() - cpu
    steps = [one.step_seconds for one in detector.progress()]
    detector.stop()
    return {
        "events": len(events),
        "events_per_second": round((judged - first) / seconds),
        "detector_cpu_us_per_event": round(used / (judged - first) * 1e6, 2),
        "brokers_cpu_seconds": round(cpu_seconds("kafka.Kafka") - brokers, 2),
        "producing_seconds": round(producing, 1),
        "step_seconds_p90": round(max(steps), 3),
    }


class Lookout:
    """Notes when each anomaly was first readable."""

    def __init__(self, database: str) -> None:
        self.seen: dict[str, tuple[float, float]] = {}
        self._stop = threading.Event()
        self._database = database
        self._thread = threading.Thread(target=self._look)

    @contextmanager
    def looking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _look(self) -> None:
        query = (
            "SELECT anomaly_id, rule, first_crossed_at, change_id FROM anomaly_sessions "
            "WHERE change_id > %s ORDER BY change_id"
        )
        with psycopg.connect(self._database, autocommit=True) as connection:
            found = connection.execute("SELECT coalesce(max(change_id), 0) FROM anomaly_sessions")
            (last,) = found.fetchone() or (0,)
            while not self._stop.wait(0.02):
                rows = connection.execute(query, (last,)).fetchall()
                now = time.time()
                for anomaly_id, rule, crossed_at, change_id in rows:
                    last = max(last, change_id)
                    if rule not in TIMED:
                        continue
                    crossed = crossed_at.timestamp()
                    self.seen.setdefault(anomaly_id, (crossed, now - crossed))


@dataclass(frozen=True)
class Streamed:
    """A stream at a rate.

    Attributes:
        latencies: of anomalies, in seconds.
        lags: seconds into the stream, and how many messages were not judged then.
        producer_behind: seconds by which the last event was sent too late.
        caught_up: seconds from the last event until all were judged.
        cpu: processor seconds of the detector.
        step: seconds of a step, 9 of 10 are shorter.
    """

    latencies: npt.NDArray[np.float64]
    lags: list[tuple[float, int]]
    producer_behind: float
    caught_up: float
    cpu: float
    step: float


def stream(store: Any, database: str, producer: EventProducer, rate: int, seconds: int) -> Streamed:
    """Send each event at its own time, after a start that is not looked at."""
    detector = Detector(store, database, "latest")
    detector.wait_pinned()
    seconds += WARM_SECONDS
    events = disturbed(dense(rate * seconds, rate, 0.1, 4))
    at = events["occurred_at"].to_physical()
    begin_us = (time.time_ns() // 1000) + 1_000_000
    shift = begin_us - int(at.min())  # type: ignore[arg-type]
    events = events.with_columns((at + shift).cast(pl.Datetime("us", "UTC")).alias("occurred_at"))
    due = np.maximum.accumulate((at + shift).to_numpy())
    cuts = np.searchsorted(
        due, begin_us + np.arange(1, seconds * 1_000_000 // TICK_US + 1) * TICK_US
    )
    lookout, cpu = Lookout(database), detector.cpu()
    lags: list[tuple[float, int]] = []
    with lookout.looking():
        done = 0
        for tick, end in enumerate(cuts, 1):
            time.sleep(max(0.0, (begin_us + tick * TICK_US) / 1e6 - time.time()))
            producer.send(CLICK, as_events(events[done:end], CLICK))
            done = int(end)
            if tick % 50 == 0:
                into = time.time() - begin_us / 1e6 - WARM_SECONDS
                lags.append((into, done - detector.messages))
        behind = time.time() - (begin_us / 1e6 + seconds)
        producer.flush()
        ended = time.monotonic()
        while detector.messages < done:
            time.sleep(0.02)
        caught_up = time.monotonic() - ended
    used = detector.cpu() - cpu
    steps = [one.step_seconds for one in detector.progress()]
    detector.stop()
    measured_from = begin_us / 1e6 + WARM_SECONDS
    latencies = np.array([late for at, late in lookout.seen.values() if at >= measured_from])
    lags = [(into, lag) for into, lag in lags if into >= 0]
    return Streamed(latencies, lags, behind, caught_up, used, max(steps))


def paced(
    store: Any, database: str, producer: EventProducer, rate: int, seconds: int
) -> dict[str, Any]:
    """What is told of a stream."""
    ran = stream(store, database, producer, rate, seconds)
    p50, p95, p99 = np.quantile(ran.latencies, (0.5, 0.95, 0.99))
    return {
        "events_per_second": rate,
        "seconds": seconds,
        "anomalies": len(ran.latencies),
        "latency_seconds": {"p50": round(p50, 3), "p95": round(p95, 3), "p99": round(p99, 3)},
        "lag_second_half_max": max(lag for _, lag in ran.lags[len(ran.lags) // 2 :]),
        "producer_behind_seconds": round(max(0.0, ran.producer_behind), 2),
        "caught_up_after_seconds": round(ran.caught_up, 2),
        "detector_cpu_cores": round(ran.cpu / (seconds + WARM_SECONDS), 2),
        "step_seconds_p90": round(ran.step, 3),
    }


@contextmanager
def own_database(settings: Settings) -> Iterator[str]:
    """A database beside the one of the settings, dropped at the end."""
    assert settings.database_url is not None, 'run it after: eval "$(guardian stack env)"'
    given = settings.database_url.get_secret_value()
    name = f"bench_{time.time_ns()}"
    with psycopg.connect(given, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        head, _, _ = given.rpartition("/")
        yield f"{head}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=1_500_000)
    parser.add_argument("--seconds", type=int, default=25)
    parser.add_argument("--rates", type=int, nargs="*", default=[15_000, 30_000, 45_000])
    asked = parser.parse_args()
    settings = load_settings()
    with (
        own_database(settings) as database,
        tempfile.TemporaryDirectory() as folder,
        open_store(load_settings(database_url=database, home=Path(folder))) as store,
        open_producer(settings) as producer,
    ):
        result = {
            "drain": drain(store, database, producer, asked.backlog),
            "paced": [
                paced(store, database, producer, rate, asked.seconds) for rate in asked.rates
            ],
        }
    write("detect_kafka", result)


if __name__ == "__main__":
    main()
