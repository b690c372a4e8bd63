"""Detection on Spark, the driver's side: where buckets stand, and the saving of what they found."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clickstream_guardian.detector.state import DetectorConfig, PartitionKey, PartitionState
from clickstream_guardian.engines.spark.stream import Batch, judge_buckets
from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.pipelines.bucket import BucketPoint, BucketTask, Outcome
from clickstream_guardian.pipelines.detect import (
    position_of,
    rules_fingerprint,
    to_instant,
    to_micros,
)
from clickstream_guardian.store import (
    Checkpoint,
    Position,
    Store,
    load_checkpoint,
    save_checkpoint,
    upsert_anomalies,
)

QUIET_SECONDS = 30.0


@dataclass(frozen=True)
class Where:
    """What is read and how.

    Attributes:
        group: name of the checkpoints, one for each bucket: ``<group>/<bucket>``.
        cache: the hosts' folder for states.
    """

    group: str
    servers: str
    registry_url: str
    buckets: int
    cache: Path


class SparkDetection:
    """The saved truth of a group of buckets, moved on batch by batch."""

    def __init__(self, store: Store, config: DetectorConfig, where: Where) -> None:
        self.store = store
        self.config = config
        self.where = where
        self.fingerprint = rules_fingerprint(config.rules)
        with store.begin() as connection:
            self.points = {
                bucket: self._point(load_checkpoint(connection, self._group(bucket)))
                for bucket in range(where.buckets)
            }
        now = time.monotonic()
        self._heard = {
            PartitionKey(kind.topic, bucket): now
            for kind in EVENT_KINDS
            for bucket in range(where.buckets)
        }

    def on_batch(self, frame: Batch) -> list[Outcome]:
        """Judge a batch on the executors and save what follows, all of it or nothing."""
        found = judge_buckets(frame, self.where.buckets, self._task())
        outcomes = [pickle.loads(data) for data in found]
        self._save(outcomes)
        return outcomes

    def _task(self) -> BucketTask:
        now = time.monotonic()
        quiet = frozenset(k for k, at in self._heard.items() if now - at > QUIET_SECONDS)
        return BucketTask(
            self.config,
            self.where.servers,
            self.where.registry_url,
            self.points,
            quiet,
            self.where.cache,
            f"{self.fingerprint}:{self.config.lateness_us}",
        )

    def _save(self, outcomes: Sequence[Outcome]) -> None:
        anomalies = [anomaly for outcome in outcomes for anomaly in outcome.anomalies]
        with self.store.begin() as connection:
            upsert_anomalies(connection, anomalies)
            for outcome in outcomes:
                save_checkpoint(connection, self._checkpoint(outcome), outcome.generation)
        for outcome in outcomes:
            self.points[outcome.bucket] = BucketPoint(
                outcome.generation + 1,
                outcome.settled_us,
                {key: p.next_offset for key, p in outcome.partitions.items()},
                outcome.resume,
            )

    def _checkpoint(self, outcome: Outcome) -> Checkpoint:
        return Checkpoint(
            group_name=self._group(outcome.bucket),
            rules_fingerprint=self.fingerprint,
            lateness_us=self.config.lateness_us,
            closed_until=to_instant(outcome.settled_us),
            generation=outcome.generation,
            positions=tuple(
                position_of(key, now, outcome.resume.get(key, PartitionState()))
                for key, now in sorted(outcome.partitions.items())
            ),
        )

    def _group(self, bucket: int) -> str:
        return f"{self.where.group}/{bucket}"

    def _point(self, checkpoint: Checkpoint | None) -> BucketPoint:
        if checkpoint is None:
            return BucketPoint()
        return BucketPoint(
            checkpoint.generation,
            to_micros(checkpoint.closed_until),
            {PartitionKey(p.source, p.partition): p.next_offset for p in checkpoint.positions},
            {PartitionKey(p.source, p.partition): self._state(p) for p in checkpoint.positions},
        )

    def _state(self, saved: Position) -> PartitionState:
        kinds = {kind.topic: kind.name for kind in EVENT_KINDS}
        return PartitionState(
            next_offset=saved.resume_offset,
            newest_us=to_micros(saved.resume_max_at),
            late_count=saved.resume_late_count,
            concerned=kinds[saved.source] in {rule.events for rule in self.config.rules},
        )
