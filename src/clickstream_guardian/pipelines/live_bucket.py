"""One bucket of live detection: what has come becomes a step of the detector, and its progress."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from clickstream_guardian.detector.advance import Arrival
from clickstream_guardian.detector.lateness import ALWAYS, NEVER
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import PartitionKey
from clickstream_guardian.events.identity import id_hex
from clickstream_guardian.pipelines.judge import NO_EVENTS, Judge, Judged, to_instant
from clickstream_guardian.sources.kafka.columns import DecodedColumns, Messages
from clickstream_guardian.store.snapshots import BucketProgress, LogEnd

_RATE_SECONDS = 10.0
_STEPS_KEPT = 200


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
        self.bucket.steps.append(at - self.started)


@dataclass
class Bucket:
    """A bucket that is this process's.

    Attributes:
        progress: after the last step, whether it is saved yet or not.
        heard: when each partition last had a message, by the monotonic clock.
        rate: when and how many messages were judged lately.
        steps: seconds from reading to saved, of the last steps.
    """

    number: int
    judge: Judge
    progress: BucketProgress
    heard: dict[PartitionKey, float]
    rate: deque[tuple[float, int]] = field(default_factory=deque)
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=_STEPS_KEPT))

    def step(self, parts: Mapping[PartitionKey, Part], log: LogView) -> Found | None:
        """Judge what has come; None where nothing has, and no window closes in silence."""
        self.heard |= dict.fromkeys(parts, log.now)
        arrivals = list(self._arrivals(parts, log))
        if not arrivals:
            return None
        judged = self.judge.step(arrivals)
        late = tuple(self._late(parts, judged))
        self.progress = self._progress(parts, len(late), log)
        return Found(self, judged, late, self.progress, log.now)

    def idle(self, now: float) -> BucketProgress:
        """The progress while nothing comes."""
        rate = messages_per_second(self.rate, now, 0)
        self.progress = replace(self.progress, events_per_second=rate)
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

    def _progress(
        self, parts: Mapping[PartitionKey, Part], late: int, log: LogView
    ) -> BucketProgress:
        new = [part.since(self.judge.judged_before(key)) for key, part in parts.items()]
        reasons = sum((reasons for _, reasons in new), Counter[str]())
        stands = {key: one.next_offset for key, one in self.judge.partitions.items()}
        ends = {key: max(log.ends.get(key, 0), at) for key, at in stands.items()}
        return replace(
            self.progress,
            messages=self.progress.messages + sum(count for count, _ in new),
            rejected_by_reason=dict(Counter(self.progress.rejected_by_reason) + reasons),
            late=self.progress.late + late,
            events_per_second=messages_per_second(
                self.rate, log.now, sum(len(part.messages.offsets) for part in parts.values())
            ),
            watermark_at=written_instant(self.judge.watermark_us),
            state_rows=self.judge.log_size,
            step_seconds=float(np.quantile(self.steps, 0.9)) if self.steps else 0.0,
            lag=sum(ends[key] - at for key, at in stands.items()),
            ends=[LogEnd(*key, end) for key, end in ends.items()],
        )


def messages_per_second(seen: deque[tuple[float, int]], now: float, count: int) -> float:
    """Messages a second over the last while."""
    seen.append((now, count))
    while now - seen[0][0] > _RATE_SECONDS:
        seen.popleft()
    span = now - seen[0][0]
    return sum(number for _, number in list(seen)[1:]) / span if span > 0 else 0.0


def written_instant(at_us: int) -> str | None:
    """A watermark as ISO 8601 in UTC; None before the first event and after the last."""
    at = None if at_us in (NEVER, ALWAYS) else to_instant(at_us)
    return at.isoformat().replace("+00:00", "Z") if at else None
