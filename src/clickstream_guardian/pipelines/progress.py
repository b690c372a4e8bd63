"""How far detection of a bucket is and how fast it goes, the same of either engine."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from clickstream_guardian.detector.lateness import ALWAYS, NEVER
from clickstream_guardian.detector.state import PartitionKey
from clickstream_guardian.pipelines.judge import to_instant
from clickstream_guardian.store.snapshots import BucketProgress, LogEnd

_RATE_SECONDS = 10.0
_STEPS_KEPT = 200


@dataclass(frozen=True)
class Seen:
    """What a step of a bucket brought, and where the bucket stands after it.

    Attributes:
        read: messages judged, those included that an earlier process had judged.
        messages: without these.
        rejected: of ``messages``, what was no event, by reason.
        late: of ``messages``, events that came too late.
        stands: the offset to read next, by partition.
        ends: the log's ends, as far as they are known.
    """

    read: int
    messages: int
    rejected: Mapping[str, int]
    late: int
    watermark_us: int
    state_rows: int
    stands: Mapping[PartitionKey, int]
    ends: Mapping[PartitionKey, int]


@dataclass
class Meter:
    """The pace of a bucket.

    Attributes:
        rate: when and how many messages were judged lately.
        steps: seconds from reading to saved, of the last steps.
    """

    rate: deque[tuple[float, int]] = field(default_factory=deque)
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=_STEPS_KEPT))

    def after(self, before: BucketProgress, seen: Seen, now: float) -> BucketProgress:
        """The progress after a step that began at ``now``, by the monotonic clock."""
        ends = {key: max(seen.ends.get(key, 0), at) for key, at in seen.stands.items()}
        return replace(
            before,
            messages=before.messages + seen.messages,
            rejected_by_reason=dict(Counter(before.rejected_by_reason) + Counter(seen.rejected)),
            late=before.late + seen.late,
            events_per_second=self._per_second(now, seen.read),
            watermark_at=written_instant(seen.watermark_us),
            state_rows=seen.state_rows,
            step_seconds=float(np.quantile(self.steps, 0.9)) if self.steps else 0.0,
            lag=sum(ends[key] - at for key, at in seen.stands.items()),
            ends=[LogEnd(*key, end) for key, end in ends.items()],
        )

    def idle(self, before: BucketProgress, now: float) -> BucketProgress:
        """The progress while nothing comes."""
        return replace(before, events_per_second=self._per_second(now, 0))

    def _per_second(self, now: float, count: int) -> float:
        """Messages a second over the last while."""
        self.rate.append((now, count))
        while now - self.rate[0][0] > _RATE_SECONDS:
            self.rate.popleft()
        span = now - self.rate[0][0]
        return sum(number for _, number in list(self.rate)[1:]) / span if span > 0 else 0.0


def written_instant(at_us: int) -> str | None:
    """A watermark as ISO 8601 in UTC; None before the first event and after the last."""
    at = None if at_us in (NEVER, ALWAYS) else to_instant(at_us)
    return at.isoformat().replace("+00:00", "Z") if at else None
