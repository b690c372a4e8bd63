"""One bucket of live detection: what has come becomes a step of the detector, and its progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from clickstream_guardian.detector.advance import Arrival
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import PartitionKey
from clickstream_guardian.events.identity import id_hex
from clickstream_guardian.pipelines.judge import NO_EVENTS, Judge, Judged
from clickstream_guardian.pipelines.progress import Meter, Seen
from clickstream_guardian.sources.kafka.columns import DecodedColumns, Messages
from clickstream_guardian.store.snapshots import BucketProgress


@dataclass(frozen=True)
class Part:
    """What has come of one partition."""

    messages: Messages
    decoded: DecodedColumns

    @property
    def next_offset(self) -> int:
        """The offset after its last message."""
        return int(self.messages.offsets[-1]) + 1

    def since(self, offset: int) -> tuple[int, Counter[str]]:
        """How many messages from an offset on, and how many of these are no event, by reason."""
        offsets = self.messages.offsets
        reasons = Counter(
            str(reason) for place, reason in self.decoded.rejected if offsets[place] >= offset
        )
        return int((offsets >= offset).sum()), reasons


@dataclass(frozen=True)
class LogView:
    """What the consumer sees of the log.

    Attributes:
        at_end: partitions that were read to their present end.
        ends: the log's ends, as far as they are known.
        now: the monotonic clock.
        silence_seconds: a partition without a message for so long is quiet.
    """

    at_end: Container[tuple[str, int]]
    ends: Mapping[PartitionKey, int]
    now: float
    silence_seconds: float


@dataclass(frozen=True)
class Found:
    """What a step of a bucket found, to be saved.

    Attributes:
        late: id in hex and bytes of late events that no earlier process has said.
        judged: what the detectors made of it.
        started: when the step began, by the monotonic clock.
    """

    bucket: Bucket
    judged: Judged
    late: tuple[tuple[str, bytes], ...]
    progress: BucketProgress
    started: float

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """Those that are new or have changed."""
        return self.judged.anomalies

    def saved(self, at: float) -> None:
        """It is in the database, since then by the monotonic clock."""
        self.bucket.judge.saved(self.judged)
        self.bucket.meter.steps.append(at - self.started)


@dataclass
class Bucket:
    """A bucket that is this process's.

    Attributes:
        progress: after the last step, whether it is saved yet or not.
        heard: when each partition last had a message, by the monotonic clock.
        meter: its pace.
    """

    number: int
    judge: Judge
    progress: BucketProgress
    heard: dict[PartitionKey, float]
    meter: Meter = field(default_factory=Meter)

    def step(self, parts: Mapping[PartitionKey, Part], log: LogView) -> Found | None:
        """Judge what has come; None where nothing has, and no window closes in silence."""
        self.heard |= dict.fromkeys(parts, log.now)
        arrivals = list(self._arrivals(parts, log))
        if not arrivals:
            return None
        judged = self.judge.step(arrivals)
        late = tuple(self._late(parts, judged))
        seen = self._seen(parts, len(late), log)
        self.progress = self.meter.after(self.progress, seen, log.now)
        return Found(self, judged, late, self.progress, log.now)

    def idle(self, now: float) -> BucketProgress:
        """The progress while nothing comes."""
        self.progress = self.meter.idle(self.progress, now)
        return self.progress

    def _arrivals(self, parts: Mapping[PartitionKey, Part], log: LogView) -> Iterator[Arrival]:
        states = self.judge.partitions
        silent = {key: key in log.at_end for key in states}
        limit = log.now - log.silence_seconds
        quiet = {key: silent[key] and self.heard[key] <= limit for key in states}
        if not parts and all(quiet[key] == before.quiet for key, before in states.items()):
            return
        for key, before in states.items():
            part = parts.get(key)
            yield Arrival(
                key,
                NO_EVENTS if part is None else part.decoded.events,
                before.next_offset if part is None else part.next_offset,
                silent=silent[key],
                quiet=quiet[key],
            )

    def _late(
        self, parts: Mapping[PartitionKey, Part], judged: Judged
    ) -> Iterator[tuple[str, bytes]]:
        for key, late in judged.late.items():
            part = parts[key]
            events = part.decoded.events
            chosen = late & (events["offset"].to_numpy() >= self.judge.judged_before(key))
            values = part.messages.values.take(part.decoded.places[chosen]).to_pylist()
            ids = events.filter(pl.Series(chosen))["event_id"]
            for number, value in zip(ids, values, strict=True):
                yield id_hex(number), value

    def _seen(self, parts: Mapping[PartitionKey, Part], late: int, log: LogView) -> Seen:
        new = [part.since(self.judge.judged_before(key)) for key, part in parts.items()]
        return Seen(
            read=sum(len(part.messages.offsets) for part in parts.values()),
            messages=sum(count for count, _ in new),
            rejected=sum((reasons for _, reasons in new), Counter[str]()),
            late=late,
            watermark_us=self.judge.watermark_us,
            state_rows=self.judge.log_size,
            stands={key: one.next_offset for key, one in self.judge.partitions.items()},
            ends=log.ends,
        )
