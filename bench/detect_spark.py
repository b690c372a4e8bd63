"""Detection in Spark on the running stack: live at given rates, and a backlog drained.

    eval "$(guardian stack env)" && python -m bench.detect_spark [--rates 15000 20000 30000]

Producer, three brokers, PostgreSQL and Spark (local[2]) share the cores. *Latency* is from the time
of an anomaly's crossing event, which is when it is due to be sent, to the commit that makes the
anomaly's row readable; the first 6 s of each rate are not looked at. *Trigger* is a batch from its
planning to its end, by Spark's own report. The backlog is drained by detection, and a tenth of it
by Spark's own windowed aggregation of the same two rules (decoded the same way, without evidence,
ids, previews or output).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.core import TIMED
from bench.machine import write
from bench.paced import produce
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import DetectorConfig, PartitionKey
from clickstream_guardian.engines.spark.session import open_session
from clickstream_guardian.engines.spark.stream import Session, StreamOptions, stream_properties
from clickstream_guardian.events.fields import CLICK, EVENT_KINDS
from clickstream_guardian.pipelines.live import split_rules
from clickstream_guardian.pipelines.spark_detect import SparkDetection, Where, detect_on_spark
from clickstream_guardian.rules.loader import load_catalogue
from clickstream_guardian.settings import Settings, load_settings
from clickstream_guardian.sources.kafka.admin import offset_spans
from clickstream_guardian.sources.kafka.announce import Announcer
from clickstream_guardian.sources.kafka.registry import SchemaRegistry
from clickstream_guardian.stack.spark import session_folder
from clickstream_guardian.store import open_store
from clickstream_guardian.store.snapshots import BucketProgress

CONFIG = DetectorConfig(split_rules(load_catalogue())[0])
MOST = 300_000
WARM_SECONDS = 6


class Stopwatch:
    """Notes latencies, lag and state as the watcher of detection.

    Attributes:
        behind: when a batch was saved, and how old the newest event judged in every bucket was.
    """

    def __init__(self) -> None:
        self._ages: dict[str, tuple[float, float]] = {}
        self.lag: list[int] = []
        self.behind: list[tuple[float, float]] = []
        self.rows: list[int] = []
        self.messages = 0
        self.first = self.last = 0.0

    def owns(self, progress: Sequence[BucketProgress]) -> None:
        """Nothing to note."""

    def waits(self, reason: str) -> None:
        """An outage spoils the measurement."""
        print(reason, file=sys.stderr)

    def saved(
        self, progress: Sequence[BucketProgress], anomalies: Sequence[Anomaly], _seconds: float
    ) -> None:
        """A batch is readable."""
        now = time.time()
        for anomaly in anomalies:
            if anomaly.rule in TIMED:
                crossed = anomaly.first_crossed_at.timestamp()
                self._ages.setdefault(anomaly.anomaly_id, (crossed, now - crossed))
        messages = sum(one.messages for one in progress)
        if messages > self.messages:
            self.first, self.last = self.first or now, now
        self.messages = messages
        self.lag.append(sum(one.lag for one in progress))
        at = [datetime.fromisoformat(one.watermark_at) for one in progress if one.watermark_at]
        if len(at) == len(progress):
            self.behind.append((now, now - min(at).timestamp() - CONFIG.lateness_us / 1e6))
        self.rows.append(sum(one.state_rows for one in progress))

    @property
    def latencies(self) -> list[float]:
        """Of the anomalies that crossed after the start."""
        begin = self.first + WARM_SECONDS
        return [late for crossed, late in self._ages.values() if crossed >= begin]


class Measured(SparkDetection):
    """Detection that keeps Spark's report of each batch."""

    triggers: dict[int, float]

    def on_progress(self, progress: Mapping[str, Any]) -> None:
        """Keep the batch's time."""
        super().on_progress(progress)
        if progress["numInputRows"]:
            self.triggers[progress["batchId"]] = progress["durationMs"]["triggerExecution"] / 1000


def ends(settings: Settings) -> dict[PartitionKey, int]:
    """Where the log ends now."""
    return {
        PartitionKey(kind.topic, span.partition): span.end
        for kind in EVENT_KINDS
        for span in offset_spans(settings.kafka_servers, kind.topic)
    }


def detect(
    spark: Session,
    settings: Settings,
    starts: Mapping[PartitionKey, int],
    stopping: Callable[[Stopwatch], bool],
) -> tuple[Stopwatch, dict[int, float]]:
    """Run detection in a group of its own from given offsets on."""
    folder = Path(tempfile.mkdtemp(prefix="guardian-bench-"))
    watch, triggers = Stopwatch(), dict[int, float]()
    group = f"bench-{time.monotonic_ns()}"
    where = Where(
        group, settings.kafka_servers, settings.registry_url, starts, Path(f"/dev/shm/{group}")
    )
    announcer = Announcer(
        settings.kafka_servers, SchemaRegistry(settings.registry_url).anomaly_id, 60
    )
    options = StreamOptions(
        servers=settings.kafka_servers,
        buckets=len(where.buckets),
        starting={},
        checkpoint=str(folder),
        trigger_seconds=settings.spark_trigger_seconds,
        most_per_trigger=MOST,
    )
    with open_store(settings) as store:

        def begin() -> SparkDetection:
            made = Measured(store, CONFIG, announcer, where, watch)
            made.triggers = triggers
            return made

        detect_on_spark(spark, begin, options, watch, lambda: stopping(watch))
    shutil.rmtree(folder)
    shutil.rmtree(where.cache, ignore_errors=True)
    return watch, triggers


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the greatest, in seconds."""
    return {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 95, 99, 100)}


@dataclass(frozen=True)
class Streamed:
    """A paced stream: what was noted, each batch's seconds, messages, seconds of sending them."""

    watch: Stopwatch
    triggers: dict[int, float]
    messages: int
    took: float


def stream(spark: Session, settings: Settings, rate: int, seconds: float) -> Streamed:
    """A paced stream, sent by a process of its own, after a start that is not looked at; the state
    is filling until 80 s."""
    starts = ends(settings)
    sent: list[str] = []

    def send() -> None:
        command = [sys.executable, "-m", "bench.paced", str(rate), str(WARM_SECONDS + seconds)]
        sent.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    sender = threading.Thread(target=send)
    begun = time.monotonic()

    def stopping(watch: Stopwatch) -> bool:
        if sender.ident is None and time.monotonic() - begun > 8:  # the stream is warm
            sender.start()
        if not sent:
            return False
        return watch.messages >= int(sent[0].split()[0]) or time.monotonic() - begun > 4 * seconds

    watch, triggers = detect(spark, settings, starts, stopping)
    messages, took = sent[0].split()
    return Streamed(watch, triggers, int(messages), float(took))


def live(spark: Session, settings: Settings, rate: int, seconds: float) -> dict[str, Any]:
    """What is told of a paced stream."""
    ran = stream(spark, settings, rate, seconds)
    watch, triggers = ran.watch, ran.triggers
    return {
        "messages": ran.messages,
        "sent_in_seconds": ran.took,
        "judged_seconds_after_the_last": round(watch.last - watch.first - ran.took, 2),
        "anomalies": len(watch.latencies),
        "latency": percentiles(watch.latencies),
        "trigger": percentiles(list(triggers.values())),
        "lag_messages_p95": int(np.percentile(watch.lag, 95)),
        "state_rows": {"middle": watch.rows[len(watch.rows) // 2], "greatest": max(watch.rows)},
    }


def drain(spark: Session, settings: Settings, count: int) -> dict[str, Any]:
    """A backlog as fast as it goes, Spark's start included."""
    starts = ends(settings)
    messages, _ = produce(15_000, count / 15_000, paced=False)
    begun = time.monotonic()
    watch, triggers = detect(spark, settings, starts, lambda watch: watch.messages >= messages)
    whole = time.monotonic() - begun
    return {
        "messages": messages,
        "detection_per_second": round(messages / whole),
        "trigger": percentiles(list(triggers.values())),
        "state_rows": max(watch.rows),
    }


def native(spark: Session, settings: Settings, count: int) -> dict[str, Any]:
    """A backlog by both rules as Spark's windowed aggregations, de-duplicated, a query each."""
    from bench.native import aggregations

    starts = ends(settings)
    messages, _ = produce(15_000, count / 15_000, paced=False)
    offsets = {str(key.partition): at for key, at in starts.items() if key.source == CLICK.topic}
    own = aggregations(spark, settings, offsets, MOST)
    return {
        "messages": messages,
        "per_second": round(messages / own["seconds"]),
        "state_rows": own["state_rows"],
    }


@contextmanager
def opened() -> Iterator[tuple[Session, Settings]]:
    """A session on this machine's cores, and the settings of the running stack."""
    settings = load_settings(spark_master="local[2]")
    spark = open_session(session_folder(settings, ""), "bench", stream_properties(""))
    try:
        yield spark, settings
    finally:
        spark.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rates", type=int, nargs="*", default=[15_000, 20_000, 30_000])
    parser.add_argument("--backlog", type=int, default=3_000_000)
    options = parser.parse_args()
    result: dict[str, Any] = {"seconds": options.seconds, "live": {}}
    with opened() as (spark, settings):
        live(spark, settings, 5_000, 10)  # warm: compiled code, workers that have imported
        for rate in options.rates:
            result["live"][f"{rate}/s"] = live(spark, settings, rate, options.seconds)
            write("detect_spark", result)  # so that a later part's failure costs no earlier one
        if options.backlog:
            result["backlog"] = drain(spark, settings, options.backlog)
            write("detect_spark", result)
            result["spark_aggregation"] = native(spark, settings, options.backlog // 10)
    write("detect_spark", result)


if __name__ == "__main__":
    main()
