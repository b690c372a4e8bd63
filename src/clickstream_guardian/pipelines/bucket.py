"""What an executor does with a bucket's next messages: decode, judge, and hand back what follows.

The state is found in the host's cache, or made anew by reading the log from where the checkpoint
says. Either way it is the same state, so it does not matter which executor is asked.
"""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.lateness import NEVER
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import (
    BucketState,
    DetectorConfig,
    PartitionKey,
    PartitionState,
)
from clickstream_guardian.engines.spark.state_cache import StateCache
from clickstream_guardian.events.fields import EVENT_KINDS, EventKind
from clickstream_guardian.events.identity import ids_from_arrow
from clickstream_guardian.sources.kafka.decode import Arrived, MessageDecoder
from clickstream_guardian.sources.kafka.registry import SchemaRegistry
from clickstream_guardian.sources.kafka.spans import read_span


@dataclass(frozen=True)
class BucketPoint:
    """Where a bucket stands by its checkpoint.

    Attributes:
        generation: number of saves of this bucket.
        settled_us: see ``BucketState``.
        next_offsets: what comes next, by partition.
        resume: from where the log makes the state anew.
    """

    generation: int = 0
    settled_us: int = NEVER
    next_offsets: Mapping[PartitionKey, int] = field(default_factory=dict)
    resume: Mapping[PartitionKey, PartitionState] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of a bucket's part of a batch.

    Attributes:
        generation: the checkpoint's generation it started from.
        messages: how many were new.
        rejected: how many could not become an event, by topic and reason.
        late: late messages as they came: topic, key (the event's id) and value.
        read_again: events read again from the log because no state was at hand.
        log_size: events in the state.
        seconds: time taken by step.
    """

    bucket: int
    generation: int
    settled_us: int
    partitions: Mapping[PartitionKey, PartitionState]
    resume: Mapping[PartitionKey, PartitionState]
    anomalies: tuple[Anomaly, ...]
    messages: int
    rejected: Mapping[tuple[str, str], int]
    late: tuple[tuple[str, bytes, bytes], ...]
    read_again: int
    log_size: int
    watermark_us: int
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class BucketTask:
    """Everything an executor needs to know; travels with each batch.

    Attributes:
        points: bucket to where it stands.
        quiet: partitions that have been silent for so long that they hold no window open.
        cache: the hosts' folder for states.
    """

    config: DetectorConfig
    servers: str
    registry_url: str
    points: Mapping[int, BucketPoint]
    quiet: frozenset[PartitionKey]
    cache: Path
    fingerprint: str

    def __call__(self, bucket: int, messages: pa.Table) -> bytes:
        """Judge a bucket's messages (``engines.spark.stream.MESSAGES``); an ``Outcome``."""
        return pickle.dumps(self._judge(bucket, messages), protocol=5)

    def _judge(self, bucket: int, messages: pa.Table) -> Outcome:
        clock = _Clock()
        point = self.points.get(bucket, BucketPoint())
        states = StateCache(self.cache, self.fingerprint)
        before = self._state(bucket, point, states)
        clock.lap("load")
        parts = [self._part(kind, bucket, messages, before, point) for kind in EVENT_KINDS]
        clock.lap("decode")
        arrivals = [
            part.arrival(PartitionKey(part.kind.topic, bucket), self.quiet) for part in parts
        ]
        step = advance(self.config, before, arrivals)
        clock.lap("judge")
        states.save(bucket, point.generation + 1, step.state)
        clock.lap("keep")
        state = step.state
        return Outcome(
            bucket=bucket,
            generation=point.generation,
            settled_us=state.settled_us,
            partitions=state.partitions,
            resume=state.resume_points(),
            anomalies=step.anomalies,
            messages=sum(part.new for part in parts),
            rejected=sum((part.rejected for part in parts), Counter[tuple[str, str]]()),
            late=(),
            read_again=sum(part.again for part in parts),
            log_size=state.log_size,
            watermark_us=state.watermark(self.config.lateness_us, None),
            seconds=clock.seconds,
        )

    def _state(self, bucket: int, point: BucketPoint, states: StateCache) -> BucketState:
        found = states.load(bucket, point.generation)
        if found is not None:
            stands = {key: p.next_offset for key, p in found.partitions.items()}
            if stands == point.next_offsets:
                return found
        return BucketState.resumed(point.resume, point.settled_us)

    def _part(
        self,
        kind: EventKind,
        bucket: int,
        messages: pa.Table,
        state: BucketState,
        point: BucketPoint,
    ) -> _Part:
        """A partition's messages that the state has not seen, from the batch and, where that
        begins too late, from the log."""
        key = PartitionKey(kind.topic, bucket)
        given = messages.filter(pc.equal(messages["topic"], kind.topic)).sort_by("offset")
        given = given.drop_columns("topic")
        known = state.partitions.get(key)
        stand = point.next_offsets.get(key, 0)
        begin = known.next_offset if known else (given["offset"][0].as_py() if len(given) else 0)
        until = given["offset"][0].as_py() if len(given) else stand
        given = given.filter(pc.greater_equal(given["offset"], begin))
        again = 0
        if known and begin < until:
            missing = read_span(self.servers, kind.topic, bucket, begin, until)
            again = len(missing)
            given = pa.concat_tables([missing, given])
        end = max(begin, until, given["offset"][-1].as_py() + 1 if len(given) else 0)
        events, rejected = _decoded(kind, self.registry_url, given)
        fresh = Counter((kind.topic, reason) for offset, reason in rejected if offset >= stand)
        new = pc.sum(pc.greater_equal(given["offset"], stand)).as_py() or 0
        return _Part(kind, events, end, stand, fresh, new, again)


@dataclass(frozen=True)
class _Part:
    kind: EventKind
    events: pl.DataFrame
    end: int
    stand: int
    rejected: Counter[tuple[str, str]]
    new: int
    again: int

    def arrival(self, key: PartitionKey, quiet: frozenset[PartitionKey]) -> Arrival:
        silent = not self.new
        return Arrival(key, self.kind.name, self.events, self.end, silent=silent)


def _decoded(
    kind: EventKind, registry_url: str, messages: pa.Table
) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Events with the offset of their message, and offset and reason of what is none."""
    received = messages["received_us"].to_pylist()
    arrived = [
        Arrived(value, datetime.fromtimestamp(at / 1e6, UTC))
        for value, at in zip(messages["value"].to_pylist(), received, strict=True)
    ]
    done = _decoder(kind, registry_url).decode(arrived)
    offsets = messages["offset"].to_numpy()
    wanted = done.events.select(["session_id", "occurred_at", "item_id"])
    frame = pl.DataFrame(pl.from_arrow(wanted))
    ids = ids_from_arrow(done.events["event_id"].combine_chunks())
    events = frame.with_columns(ids, pl.Series("offset", offsets[list(done.places)]))
    return events, [(int(offsets[index]), str(reason)) for index, reason in done.rejected]


@cache
def _decoder(kind: EventKind, registry_url: str) -> MessageDecoder:
    return MessageDecoder(kind, SchemaRegistry(registry_url).by_id)


class _Clock:
    def __init__(self) -> None:
        self._at = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = now - self._at
        self._at = now
