"""One step of the load test on each engine: a stream at a rate, and what it took.

A step tells how old anomalies were when they were readable, how far behind the stream the engine
was, and who spent the processors.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.core import CATALOGUE, dense
from bench.live import stream

_THREADS = {"MainThread": "judging", "libraries": "libraries' threads"}
"""What threads of a replay do; the others are named by it."""
_PROCESSES = {
    "kafka.Kafka": "brokers",
    "bench.paced": "producer",
    "detect": "detector",
    "org.apache.spark.deploy.SparkSubmit": "Spark's JVM",
    "pyspark.daemon": "Python workers",
}
"""By a word of the command line."""
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Step:
    """What a step took.

    Attributes:
        ages: of anomalies told at once, seconds from the crossing event's time to readable.
        behind: seconds into the stream, and how many seconds behind it the engine was then.
        busy: share of a processor that each part took; of a thread pool it may be several.
        processor_ratio: share of all processors.
        sent: share of the rate at which events really came; a producer may give out, too.
    """

    ages: list[float]
    behind: list[tuple[float, float]]
    busy: Mapping[str, float]
    processor_ratio: float
    sent: float = 1.0


Stepping = Callable[[int, float], Step]
"""Called with events a second and seconds."""


class Processors:
    """Who spends the machine's processors, looked at every second."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._spent: dict[tuple[str, int], tuple[float, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look while this is open."""
        self._begun, self._idle, self._all = time.monotonic(), *_machine_times()
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            idle, everything = _machine_times()
            self.ratio = 1 - (idle - self._idle) / (everything - self._all)
            self._seconds = time.monotonic() - self._begun

    @property
    def busy(self) -> dict[str, float]:
        """Share of a processor by part."""
        sums: dict[str, float] = {}
        for (name, _), (first, last) in self._spent.items():
            sums[name] = sums.get(name, 0.0) + last - first
        return {name: round(spent / self._seconds, 2) for name, spent in sums.items() if spent}

    def _look(self) -> None:
        while True:
            for process in psutil.process_iter():
                try:
                    if name := self._part(process):
                        spent = sum(process.cpu_times()[:2])
                        first, _ = self._spent.get((name, process.pid), (spent, spent))
                        self._spent[name, process.pid] = first, spent
                except psutil.Error:
                    continue  # it ended meanwhile; its last look stands
            if self._stop.wait(_LOOK_SECONDS):
                return

    def _part(self, process: psutil.Process) -> str | None:
        if process.pid == os.getpid():
            return self._own
        if process.name() == "postgres":
            return "PostgreSQL"
        words = process.cmdline()
        return next((part for word, part in _PROCESSES.items() if word in words), None)


def _machine_times() -> tuple[float, float]:
    """Seconds of all processors: idle, and in all."""
    times = psutil.cpu_times()
    return times.idle + times.iowait, sum(times[:8])


@contextmanager
def embedded() -> Iterator[Stepping]:
    """The replay of a file, with the lake; every rule on clicks."""

    def step(rate: int, seconds: float) -> Step:
        watch = stream(dense(int(rate * seconds), rate, 0.1, 4), CATALOGUE)
        behind = [(moment, late) for moment, _, late in watch.steps]
        processor_ratio = watch.cpu / watch.wall / (os.cpu_count() or 1)
        return Step(
            list(watch.latencies.values()), behind, _by_thread(watch.threads), processor_ratio
        )

    yield step


def _by_thread(threads: list[tuple[float, dict[str, float]]]) -> dict[str, float]:
    """The share of a processor that each thread of a replay took."""
    if len(threads) < 2:
        return {}
    (began, before), (ended, after) = threads[0], threads[-1]
    return {
        _THREADS.get(name, name): round((spent - before.get(name, 0)) / (ended - began), 2)
        for name, spent in after.items()
        if spent > before.get(name, 0)
    }


@contextmanager
def kafka() -> Iterator[Stepping]:
    """The embedded engine on the log of a running stack, in a database of its own."""
    from bench import detect_kafka
    from clickstream_guardian.chaos.cluster.load import open_producer
    from clickstream_guardian.settings import load_settings
    from clickstream_guardian.store import open_store

    settings = load_settings()
    with (
        detect_kafka.own_database(settings) as database,
        tempfile.TemporaryDirectory() as folder,
        open_store(load_settings(database_url=database, home=Path(folder))) as store,
        open_producer(settings) as producer,
    ):

        def step(rate: int, seconds: float) -> Step:
            processors = Processors("producer")
            with processors.looking():
                ran = detect_kafka.stream(store, database, producer, rate, round(seconds))
            behind = [(moment, lag / rate) for moment, lag in ran.lags]
            sent = seconds / (seconds + max(0.0, ran.producer_behind))
            return Step(list(ran.latencies), behind, processors.busy, processors.ratio, sent)

        yield step


@contextmanager
def spark() -> Iterator[Stepping]:
    """Spark on the log of a running stack, in its database."""
    from bench import detect_spark

    with detect_spark.opened() as (session, settings):
        detect_spark.stream(session, settings, 5_000, 10)  # warm: workers that have imported

        def step(rate: int, seconds: float) -> Step:
            processors = Processors("Spark's driver in Python")
            with processors.looking():
                ran = detect_spark.stream(session, settings, rate, seconds)
            begun = ran.watch.first + detect_spark.WARM_SECONDS
            behind = [(at - begun, late) for at, late in ran.watch.behind if at >= begun]
            sent = ran.messages / ran.took / rate
            return Step(ran.watch.latencies, behind, processors.busy, processors.ratio, sent)

        yield step


ENGINES = {"embedded": embedded, "kafka": kafka, "spark": spark}
