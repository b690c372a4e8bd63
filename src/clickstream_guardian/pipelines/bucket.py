"""What an executor does with a bucket's next messages: decode, judge, and hand back what follows.

The state is found in the host's cache, or made anew by reading the log from where the checkpoint
says. Either way it is the same state, so it does not matter which executor is asked, or how often.
"""

from __future__ import annotations

import gc
import pickle
import sys
import time
import zipimport
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

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
from clickstream_guardian.events.identity import id_hex
from clickstream_guardian.sources.kafka.columns import ColumnDecoder, Messages
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
        resume: see ``BucketState.resume_points``.
        messages: how many were new, by partition.
        rejected: how many of them could not become an event, by reason.
        late: of them, late events: id in hex, and the message as it came.
        read_again: messages read again from the log, because no state was at hand.
        state_rows: events in the state.
        seconds: time taken by step.
    """

    bucket: int
    generation: int
    settled_us: int
    partitions: Mapping[PartitionKey, PartitionState]
    resume: Mapping[PartitionKey, PartitionState]
    anomalies: tuple[Anomaly, ...]
    messages: Mapping[PartitionKey, int]
    rejected: Mapping[str, int]
    late: tuple[tuple[str, bytes], ...]
    read_again: int
    state_rows: int
    watermark_us: int
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class BucketTask:
    """Everything an executor needs to know; it travels with each batch.

    Attributes:
        points: bucket to where it stands.
        quiet: partitions that have been silent for so long that they hold no window open.
        cache: the hosts' folder for states.
        fingerprint: what a state depends on beside the log.
    """

    config: DetectorConfig
    servers: str
    registry_url: str
    points: Mapping[int, BucketPoint]
    quiet: frozenset[PartitionKey]
    cache: Path
    fingerprint: str

    def __call__(self, bucket: int, messages: pa.Table) -> bytes:
        """Judge a bucket's messages (``engines.spark.stream.MESSAGES``); a pickled ``Outcome``."""
        try:
            return pickle.dumps(self.judge(bucket, messages), protocol=5)
        finally:
            _rest()

    def judge(self, bucket: int, messages: pa.Table) -> Outcome:
        """Decode, judge, keep the state for the next batch."""
        clock = _Clock()
        point = self.points.get(bucket, BucketPoint())
        states = StateCache(self.cache, self.fingerprint)
        before = self._state(bucket, point, states)
        clock.lap("load")
        parts = [self._part(kind, bucket, messages, before) for kind in EVENT_KINDS]
        clock.lap("decode")
        step = advance(self.config, before, [part.arrival for part in parts])
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
            messages={part.arrival.key: part.new for part in parts},
            rejected=sum((part.rejected for part in parts), Counter[str]()),
            late=tuple(late for part in parts for late in part.late(step.late)),
            read_again=sum(len(part.messages) - part.new for part in parts),
            state_rows=state.log_size,
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

    def _part(self, kind: EventKind, bucket: int, given: pa.Table, state: BucketState) -> _Part:
        """What the state has not seen of a partition: the batch's, and before it the log's."""
        key = PartitionKey(kind.topic, bucket)
        stand = self.points.get(bucket, BucketPoint()).next_offsets.get(key, 0)
        given = given.filter(pc.equal(given["topic"], kind.topic)).drop_columns("topic")
        given = given.sort_by("offset")
        first = given["offset"][0].as_py() if len(given) else stand
        begin = state.partitions[key].next_offset if key in state.partitions else first
        given = given.filter(pc.greater_equal(given["offset"], begin))
        if begin < first:
            missing = read_span(self.servers, kind.topic, bucket, begin, first)
            given = pa.concat_tables([missing, given])
        end = given["offset"][-1].as_py() + 1 if len(given) else begin
        return self._decoded(kind, key, given.combine_chunks(), max(end, first, begin), stand)

    def _decoded(
        self, kind: EventKind, key: PartitionKey, messages: pa.Table, end: int, stand: int
    ) -> _Part:
        offsets = messages["offset"].to_numpy()
        values = messages["value"].combine_chunks()
        received = messages["received_us"].to_numpy()
        done = _decoder(kind, self.registry_url).decode(Messages(values, offsets, received))
        new = int((offsets >= stand).sum())
        rejected = Counter(str(r) for index, r in done.rejected if offsets[index] >= stand)
        arrival = Arrival(
            key, kind.name, done.events, end, silent=not new, quiet=not new and key in self.quiet
        )
        return _Part(arrival, messages, stand, new, rejected)


@dataclass(frozen=True)
class _Part:
    """A partition's arrival; ``stand`` is the first offset that was never saved before."""

    arrival: Arrival
    messages: pa.Table
    stand: int
    new: int
    rejected: Counter[str]

    def late(self, masks: Mapping[PartitionKey, object]) -> list[tuple[str, bytes]]:
        """The new late events: id in hex, and the message as it came."""
        mask = masks.get(self.arrival.key)
        if mask is None:
            return []
        events = self.arrival.events.filter(mask)  # type: ignore[arg-type]
        places = self.messages["offset"].to_numpy().searchsorted(events["offset"].to_numpy())
        values = self.messages["value"].take(places).to_pylist()
        told = zip(events["event_id"], events["offset"], values, strict=True)
        return [(id_hex(key), value) for key, offset, value in told if offset >= self.stand]


@cache
def _decoder(kind: EventKind, registry_url: str) -> ColumnDecoder:
    return ColumnDecoder(kind, SchemaRegistry(registry_url).by_id)


def _rest() -> None:
    """Leave the worker so that Spark's housekeeping between two tasks costs little.

    Before each task it has every importer look at its place again, for which those of archives
    (Spark's own among them, which do not change) read a whole directory; after each it collects
    garbage among all modules. On a slow core that is 0.6 s a task.
    """
    _freeze()
    for place, importer in list(sys.path_importer_cache.items()):
        if isinstance(importer, zipimport.zipimporter):
            del sys.path_importer_cache[place]  # made anew when something is imported from there


@cache
def _freeze() -> None:
    """Take what is loaded by now out of the collector's sight, once."""
    gc.collect()
    gc.freeze()


class _Clock:
    def __init__(self) -> None:
        self._at = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = now - self._at
        self._at = now
