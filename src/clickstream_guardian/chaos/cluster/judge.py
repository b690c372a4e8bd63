"""What a disturbed run on the cluster left, held against its log and a calm run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clickstream_guardian.chaos.cluster.observe import Landed, Look
from clickstream_guardian.chaos.observe import Sample

Longs = NDArray[np.int64]

BEHIND_SECONDS = 1.0
"""Lag counts as none while it is less than so much of the load."""


@dataclass(frozen=True)
class Read:
    """The clicks' log from the run's beginning on.

    Attributes:
        starts: first offset by partition.
        order: by partition, of each message the place of its event in the load; -1 for others.
    """

    starts: Mapping[int, int]
    order: Mapping[int, Longs]

    def judged(self, next_offsets: Mapping[int, int]) -> int:
        """How many events of the load lie before these offsets."""
        return sum(
            int(np.count_nonzero(self.order[place][: max(0, at - self.starts[place])] >= 0))
            for place, at in next_offsets.items()
        )

    def newest(self, next_offsets: Mapping[int, int]) -> int:
        """Up to which event of the load every partition is judged; -1 if one is not at all."""
        return min(self._newest(place, at) for place, at in next_offsets.items())

    def _newest(self, place: int, next_offset: int) -> int:
        count = max(0, next_offset - self.starts[place])
        rest = self.order[place][count:]
        if not np.any(rest >= 0):  # its last event may be older than that of others
            return int(max(order.max(initial=-1) for order in self.order.values()))
        return int(self.order[place][:count].max(initial=-1))


@dataclass(frozen=True)
class Pace:
    """When which event of the load was due.

    Attributes:
        began: seconds at which the first was.
        count: how many there are.
    """

    began: float
    rate: int
    count: int

    def due(self, at: float) -> int:
        """How many events were due by a moment."""
        return min(self.count, max(0, int((at - self.began) * self.rate)))

    def when(self, place: int) -> float:
        """When an event was due."""
        return self.began + place / self.rate


@dataclass(frozen=True)
class Course:
    """How the output went.

    Attributes:
        recovery_seconds: until of every partition an event that was due after the fault (or its
            lifting) was saved.
        caught_up_seconds: until nothing that was due a second ago was unsaved any more.
        stalled_seconds: the longest time in which nothing was saved.
        lag: seconds and events that were due and not saved.
    """

    recovery_seconds: float | None
    caught_up_seconds: float | None
    stalled_seconds: float
    samples: tuple[Sample, ...]
    lag: tuple[tuple[float, int], ...]


def course(looks: Sequence[Look], read: Read, pace: Pace, fault: float, since: float) -> Course:
    """How the output went after a fault.

    Args:
        looks: what was saved over time.
        fault: when the fault came.
        since: from when recovery counts.
    """
    known = [(one.at, one.next_offsets) for one in looks if one.next_offsets]
    judged = [(at, read.judged(offsets)) for at, offsets in known]
    lag = [(at, pace.due(at) - count) for at, count in judged]
    first = min(pace.due(since), pace.count - 1)  # the last one, where all were due before
    new = [at for at, offsets in known if at > since and read.newest(offsets) >= first]
    limit = BEHIND_SECONDS * pace.rate
    behind = [at for at, left in lag if at > since and left > limit]
    caught_up = [
        at for at, left in lag if at >= max([since, *behind[-1:], *new[:1]]) and left <= limit
    ]
    return Course(
        round(new[0] - since, 2) if new else None,
        round(caught_up[0] - since, 2) if new and caught_up else None,
        round(_longest_stall(judged, fault, pace), 2),
        tuple(
            Sample(one.at, None if one.next_offsets is None else read.judged(one.next_offsets))
            for one in looks
        ),
        tuple(lag),
    )


def landing_course(
    landed: Sequence[Landed],
    way: Course,
    pace: Pace,
    since: float,
    commit_seconds: float,
) -> Course:
    """The course where the output is the lake's: commits come so far apart, and are no stall.

    Args:
        landed: what the lake held, perhaps of others before.
        way: the course of detection, whose samples are kept.
    """
    before = max((one.rows for one in landed if one.at <= pace.began), default=0)
    known = max((one.rows for one in landed if one.at <= since), default=0)
    new = [one.at for one in landed if one.committed > since and one.rows > known]
    lag = [(one.at, pace.due(one.at) - one.rows + before) for one in landed if one.at > pace.began]
    limit = (BEHIND_SECONDS + commit_seconds) * pace.rate
    even = [at for at, left in lag if new and at >= new[0] and left <= limit]
    return replace(
        way,
        recovery_seconds=round(new[0] - since, 2) if new else None,
        caught_up_seconds=round(even[0] - since, 2) if even else None,
        lag=tuple(lag),
    )


def _longest_stall(judged: Sequence[tuple[float, int]], fault: float, pace: Pace) -> float:
    longest, since, before = 0.0, fault, -1
    for at, count in judged:
        if at < fault:
            before = count
            continue
        if count > before or before >= pace.count:
            longest, since, before = max(longest, at - since), at, count
    return longest
