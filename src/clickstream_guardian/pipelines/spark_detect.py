"""Detection on Spark, the driver's side: where buckets stand, and the saving of what they found.

1. Spark notes in its own checkpoint which offsets the batch holds.
2. Executors judge each bucket, kind by kind, from the states at the bucket's saved points.
3. Anomalies and late events go on the log and are acknowledged.
4. Anomalies, points and progress are saved in one transaction.
5. Spark notes that the batch is done.

Whatever dies in between, the batch comes again: before step 4 nothing was saved and executors start
from the same point; after it they drop what they have seen.
"""

from __future__ import annotations

import os
import pickle
import socket
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clickstream_guardian.detector.lateness import NEVER
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import DetectorConfig, PartitionKey, PartitionState
from clickstream_guardian.engines.spark.stream import (
    DataLossError,
    JudgeAll,
    Session,
    StreamOptions,
    run_stream,
)
from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.events.fields import CLICK, EVENT_KINDS, KIND_OF_TOPIC
from clickstream_guardian.pipelines.bucket import BucketTask, Outcome, Point
from clickstream_guardian.pipelines.judge import (
    Finding,
    Stand,
    checkpoint_name,
    point_of,
    save_findings,
    to_micros,
)
from clickstream_guardian.pipelines.live import (
    HEARTBEAT_SECONDS,
    Watcher,
    checkpoint_group,
    claim_checkpoints,
)
from clickstream_guardian.pipelines.progress import Meter, Seen
from clickstream_guardian.sources.kafka.admin import offset_spans
from clickstream_guardian.sources.kafka.announce import Announcer
from clickstream_guardian.store import (
    Checkpoint,
    CheckpointConflictError,
    Store,
)
from clickstream_guardian.store.snapshots import (
    BucketProgress,
    load_progress,
    save_progress,
)

_SETTLED_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


@dataclass(frozen=True)
class Where:
    """What is read, and under which name.

    Attributes:
        group: each of its buckets has a checkpoint of its own, the same as in the embedded engine.
        starts: first offsets for what has no checkpoint yet.
        cache: the hosts' folder for states.
        silence_seconds: a partition without a message for so long holds no window open.
    """

    group: str
    servers: str
    registry_url: str
    starts: Mapping[PartitionKey, int]
    cache: Path
    silence_seconds: float = 30.0

    @property
    def buckets(self) -> range:
        """The bucket numbers."""
        return range(1 + max(key.partition for key in self.starts))


class SparkDetection:
    """The saved truth of a group's buckets, moved on batch by batch.

    Args:
        store: where anomalies and checkpoints are.
        config: rules and numbers.
        announcer: says on the log what was found.
        where: what is read.
        watcher: is told.
    """

    def __init__(
        self,
        store: Store,
        config: DetectorConfig,
        announcer: Announcer,
        where: Where,
        watcher: Watcher,
    ) -> None:
        self._store = store
        self._config = config
        self._of = {kind.name: config.of(kind.name) for kind in EVENT_KINDS}
        self._announcer = announcer
        self._where = where
        self._watcher = watcher
        self._run = uuid.uuid4().hex  # a state that an earlier run kept was perhaps never saved
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._heard = dict.fromkeys(where.starts, time.monotonic())
        self._told_quiet: frozenset[PartitionKey] = frozenset()
        self._meters: defaultdict[int, Meter] = defaultdict(Meter)
        self._ends: dict[PartitionKey, int] = {}
        self._points, self._progress = self._claim()
        self._saved_at = time.monotonic()
        watcher.owns(list(self._progress.values()))

    @property
    def next_offsets(self) -> dict[PartitionKey, int]:
        """Where reading goes on."""
        return {point.key: point.next_offset for point in self._points.values()}

    def on_batch(self, judge_all: JudgeAll) -> None:
        """Judge a batch on the executors and save what follows, all of it or nothing.

        Raises:
            GuardianError: the database or Kafka is away; the batch is to be given again.
        """
        self._step(judge_all)

    def on_silence(self, judge_all: JudgeAll) -> None:
        """Close the windows of partitions that have been silent for long, where there are any.

        Raises:
            GuardianError: the database or Kafka is away.
        """
        if self._quiet() - self._told_quiet:
            self._step(judge_all)
        elif time.monotonic() - self._saved_at > HEARTBEAT_SECONDS:
            self._note_idleness()

    def on_progress(self, progress: Mapping[str, Any]) -> None:
        """Note the log's ends, as Spark last saw them."""
        for source in progress.get("sources", []):
            for topic, ends in (source.get("latestOffset") or {}).items():
                self._ends |= {PartitionKey(topic, int(n)): int(at) for n, at in ends.items()}

    def _note_idleness(self) -> None:
        """Tell that this process lives, where the log is there and nothing on it waits."""
        self._saved_at = time.monotonic()
        ends = {
            PartitionKey(kind.topic, span.partition): span.end
            for kind in EVENT_KINDS
            for span in offset_spans(self._where.servers, kind.topic)
        }
        if any(point.next_offset < ends.get(key, 0) for key, point in self._points.items()):
            return
        with self._store.begin() as connection:
            for noted in self._progress.values():
                save_progress(connection, noted)

    def _step(self, judge_all: JudgeAll) -> None:
        started = time.monotonic()
        quiet = self._quiet()
        found = judge_all(self._task(quiet))
        outcomes: list[Outcome] = []
        for data in found:
            outcomes += pickle.loads(data)  # noqa: S301 from our own executors
        progress = self._noted(outcomes, started)
        self._save(outcomes, progress)
        self._saved_at = now = time.monotonic()
        for outcome in outcomes:
            self._points[outcome.key] = outcome.point
            if outcome.messages:
                self._heard[outcome.key] = now
        self._told_quiet = quiet & self._quiet()
        self._progress = progress
        for meter in self._meters.values():
            meter.steps.append(now - started)
        said = [anomaly for outcome in outcomes for anomaly in outcome.anomalies]
        self._watcher.saved(list(progress.values()), said, now - started)

    def _quiet(self) -> frozenset[PartitionKey]:
        since = time.monotonic() - self._where.silence_seconds
        return frozenset(key for key, heard in self._heard.items() if heard < since)

    def _task(self, quiet: frozenset[PartitionKey]) -> BucketTask:
        where, config = self._where, self._config
        fingerprint = f"{self._run}:{config.rules_fingerprint}:{config.lateness_us}"
        return BucketTask(
            config, where.servers, where.registry_url, self._points, quiet, where.cache, fingerprint
        )

    # --- the saved truth

    def _claim(self) -> tuple[dict[PartitionKey, Point], dict[int, BucketProgress]]:
        """Claim every bucket, so that a driver that lives on somewhere can save no more."""
        points, progress = {}, {}
        with self._store.begin() as connection:
            for bucket in self._where.buckets:
                group = checkpoint_group(self._where.group, bucket)
                claimed = claim_checkpoints(connection, group, self._config)
                for kind in EVENT_KINDS:
                    key = PartitionKey(kind.topic, bucket)
                    point = _point(key, claimed.get(kind.name), self._where.starts[key])
                    if not point.generation:
                        stand = Stand(point.settled_us, {key: point.resume}, {key: point.resume})
                        begun = self._finding(point, stand)
                        save_findings(connection, [begun], self._config.shadow_rules)
                        point = replace(point, generation=1)
                    points[key] = point
                known = load_progress(connection, self._where.group, bucket)
                progress[bucket] = replace(known, owner=self._owner)
        return points, progress

    def _save(self, outcomes: Sequence[Outcome], progress: Mapping[int, BucketProgress]) -> None:
        for outcome in outcomes:
            self._announcer.anomalies(outcome.anomalies)
            self._announcer.late(outcome.late)
        self._announcer.flush()
        findings = [self._finding(one.before, one.stand, one.anomalies) for one in outcomes]
        with self._store.begin() as connection:
            save_findings(connection, findings, self._config.shadow_rules)
            for noted in progress.values():
                save_progress(connection, noted)

    def _finding(self, point: Point, stand: Stand, anomalies: tuple[Anomaly, ...] = ()) -> Finding:
        kind = KIND_OF_TOPIC[point.key.source]
        name = checkpoint_name(checkpoint_group(self._where.group, point.key.partition), kind)
        config = self._of[kind.name]
        return Finding(name, config, anomalies, stand, point.settled_us, point.generation)

    def _noted(self, outcomes: Sequence[Outcome], started: float) -> dict[int, BucketProgress]:
        """The progress of every bucket after this batch."""
        noted = dict(self._progress)
        by_bucket: dict[int, list[Outcome]] = {}
        for outcome in outcomes:
            by_bucket.setdefault(outcome.key.partition, []).append(outcome)
        for bucket, mine in by_bucket.items():
            count = sum(one.messages for one in mine)
            clicks = next(one for one in mine if one.key.source == CLICK.topic)
            seen = Seen(
                read=count,
                messages=count,
                rejected=sum((Counter(one.rejected) for one in mine), Counter[str]()),
                late=sum(len(one.late) for one in mine),
                watermark_us=clicks.watermark_us,
                state_rows=sum(one.state_rows for one in mine),
                stands={one.key: one.partition.next_offset for one in mine},
                ends=self._ends,
            )
            noted[bucket] = self._meters[bucket].after(noted[bucket], seen, started)
        return noted


def _point(key: PartitionKey, checkpoint: Checkpoint | None, start: int) -> Point:
    """Where a partition's detector stands by its checkpoint; without one at ``start``."""
    if checkpoint is None:
        return Point(key, 0, NEVER, start, PartitionState(next_offset=start))
    (saved,) = [p for p in checkpoint.positions if (p.source, p.partition) == key]
    settled_us = to_micros(checkpoint.closed_until)
    return Point(key, checkpoint.generation, settled_us, saved.next_offset, point_of(saved))


def detect_on_spark(
    spark: Session,
    begin: Callable[[], SparkDetection],
    options: StreamOptions,
    watcher: Watcher,
    stopping: Callable[[], bool],
) -> None:
    """Detect until told to stop; after an outage go on from the last save.

    Args:
        spark: the session.
        begin: claims the buckets anew.
        options: how the log is read; ``starting`` is replaced by where the buckets stand.
        watcher: is told.
        stopping: whether to end.

    Raises:
        UsageError: the checkpoints were made with rules that these cannot follow.
        CheckpointConflictError: another process detects for the group.
        DataLossError: the log no longer holds what is to be read next.
    """
    pause = _FIRST_PAUSE
    while not stopping():
        begun = time.monotonic()
        try:
            detection = begin()
            starting: dict[str, dict[str, int]] = {}
            for key, offset in detection.next_offsets.items():
                starting.setdefault(key.source, {})[str(key.partition)] = offset
            run_stream(spark, replace(options, starting=starting), detection, stopping)
        except (UsageError, CheckpointConflictError, DataLossError):
            raise
        except GuardianError as error:
            watcher.waits(str(error))
            pause = (
                _FIRST_PAUSE if time.monotonic() - begun > 60 else min(2 * pause, _LONGEST_PAUSE)
            )
            time.sleep(pause)
