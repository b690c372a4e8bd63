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
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from clickstream_guardian.detector.advance import Arrival, advance
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
from clickstream_guardian.pipelines.judge import Stand
from clickstream_guardian.sources.kafka.columns import ColumnDecoder, Messages
from clickstream_guardian.sources.kafka.registry import SchemaRegistry
from clickstream_guardian.sources.kafka.spans import read_span


@dataclass(frozen=True)
class Point:
    """Where the detector of a partition stands by its checkpoint.

    Attributes:
        key: the partition: a bucket has one of each kind of event.
        generation: number of saves.
        settled_us: see ``BucketState``.
        next_offset: what comes next.
        resume: from where the log makes the state anew.
    """

    key: PartitionKey
    generation: int
    settled_us: int
    next_offset: int
    resume: PartitionState


@dataclass(frozen=True)
class Outcome:
    """What came of a partition's part of a batch.

    Attributes:
        before: the point it started from.
        stand: where the detector stands now.
        messages: how many were new.
        rejected: how many of them could not become an event, by reason.
        late: of them, late events: id in hex, and the message as it came.
        read_again: messages read again from the log, because no state was at hand.
        state_rows: events in the state.
        seconds: time taken by step.
    """

    before: Point
    stand: Stand
    anomalies: tuple[Anomaly, ...]
    messages: int
    rejected: Mapping[str, int]
    late: tuple[tuple[str, bytes], ...]
    read_again: int
    state_rows: int
    watermark_us: int
    seconds: Mapping[str, float]

    @property
    def key(self) -> PartitionKey:
        """The partition."""
        return self.before.key

    @property
    def partition(self) -> PartitionState:
        """How far the partition is judged."""
        return self.stand.partitions[self.key]

    @property
    def point(self) -> Point:
        """Where the detector stands once the outcome is saved."""
        return replace(
            self.before,
            generation=self.before.generation + 1,
            settled_us=self.stand.settled_us,
            next_offset=self.partition.next_offset,
            resume=self.stand.resume[self.key],
        )


@dataclass(frozen=True)
class BucketTask:
    """Everything an executor needs to know; it travels with each batch.

    Attributes:
        points: where the detector of each partition stands.
        quiet: partitions that have been silent for so long that they hold no window open.
        cache: the hosts' folder for states.
        fingerprint: what a state depends on beside the log.
    """

    config: DetectorConfig
    servers: str
    registry_url: str
    points: Mapping[PartitionKey, Point]
    quiet: frozenset[PartitionKey]
    cache: Path
    fingerprint: str

    def __call__(self, bucket: int, messages: pa.Table) -> bytes:
        """Judge a bucket's messages (``engines.spark.stream.MESSAGES``); pickled ``Outcome``s."""
        try:
            return pickle.dumps(self.judge(bucket, messages), protocol=5)
        finally:
            _rest()

    def judge(self, bucket: int, messages: pa.Table) -> list[Outcome]:
        """Decode, judge, keep the states for the next batch; an outcome for each kind of event."""
        states = StateCache(self.cache, self.fingerprint)
        return [
            self._judge(kind, self.points[PartitionKey(kind.topic, bucket)], messages, states)
            for kind in EVENT_KINDS
        ]

    def _judge(
        self, kind: EventKind, point: Point, messages: pa.Table, states: StateCache
    ) -> Outcome:
        clock = _Clock()
        config = self.config.of(kind.name)
        before = _state(point, states)
        clock.lap("load")
        part = self._part(kind, point, messages, before)
        clock.lap("decode")
        step = advance(config, before, [part.arrival])
        clock.lap("judge")
        states.save(point.key, point.generation + 1, step.state)
        clock.lap("keep")
        state = step.state
        return Outcome(
            before=point,
            stand=Stand.of(state),
            anomalies=step.anomalies,
            messages=part.new,
            rejected=part.rejected,
            late=tuple(part.late(step.late)),
            read_again=len(part.messages) - part.new,
            state_rows=state.log_size,
            watermark_us=state.watermark(config.lateness_us, None),
            seconds=clock.seconds,
        )

    def _part(self, kind: EventKind, point: Point, given: pa.Table, state: BucketState) -> _Part:
        """What the state has not seen of a partition: the batch's, and before it the log's."""
        key, stand = point.key, point.next_offset
        given = given.filter(pc.equal(given["topic"], key.source)).drop_columns("topic")
        given = given.sort_by("offset")
        first = given["offset"][0].as_py() if len(given) else stand
        begin = state.partitions[key].next_offset
        given = given.filter(pc.greater_equal(given["offset"], begin))
        if begin < first:
            missing = read_span(self.servers, key.source, key.partition, begin, first)
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
            key, done.events, end, silent=not new, quiet=not new and key in self.quiet
        )
        return _Part(arrival, messages, stand, new, rejected)


def _state(point: Point, states: StateCache) -> BucketState:
    found = states.load(point.key, point.generation)
    if found is not None and found.partitions[point.key].next_offset == point.next_offset:
        return found
    return BucketState.resumed({point.key: point.resume}, point.settled_us)


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
