"""The days' traffic in the order of the file: by session as in the data set, or by arrival."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from clickstream_guardian.lab.arrival import ArrivalCounts, ArrivalQueue, Disturbance
from clickstream_guardian.lab.attacks.injection import Label
from clickstream_guardian.lab.columns import C, Clicks, Ints, Purchases
from clickstream_guardian.lab.days import DAY_MS, Day, Stream, parts, weeks

_CHUNK_SESSIONS = 100_000


@dataclass(frozen=True)
class Batch:
    """Events that follow one another in the files, and the labels of some of their sessions."""

    clicks: Clicks | None = None
    purchases: Purchases | None = None
    labels: tuple[Label, ...] = ()
    arrival: ArrivalCounts = field(default_factory=ArrivalCounts)


@dataclass(frozen=True)
class DayTraffic:
    """All sessions that begin in one part of a day, the injected ones last."""

    clicks: Clicks
    purchases: Purchases
    labels: tuple[Label, ...]


Draw = Callable[[Day], DayTraffic]


def in_session_order(plan: tuple[Day, ...], draw: Draw) -> Iterator[Batch]:
    """Week by week, sessions whole and by their ids, which mixes the days of a week.

    The purchases stand in another order than the clicks, session by session too.
    """
    for block in weeks(plan):
        traffic = [draw(day) for day in block]
        yield Batch(labels=tuple(label for one in traffic for label in one.labels))
        clicks = Clicks.join([one.clicks for one in traffic])
        purchases = Purchases.join([one.purchases for one in traffic])
        del traffic
        for chunk in _by_session(clicks, lambda session_id: session_id):
            yield Batch(clicks=chunk)
        for lot in _by_session(purchases, _scatter):
            yield Batch(purchases=lot)


def in_arrival_order(
    plan: tuple[Day, ...], draw: Draw, disturbance: Disturbance
) -> Iterator[Batch]:
    """Day by day as events arrive; what reaches over midnight waits for the next day."""
    clicks: ArrivalQueue[Clicks] = ArrivalQueue(disturbance)
    purchases: ArrivalQueue[Purchases] = ArrivalQueue(disturbance)
    for day in plan:
        for part in parts(day):
            traffic = draw(part)
            clicks.add(traffic.clicks)
            purchases.add(traffic.purchases)
            yield Batch(labels=traffic.labels)
        midnight = day.start_ms + DAY_MS
        yield Batch(
            clicks.release(midnight, day.stream(Stream.CLICK_ARRIVAL)),
            purchases.release(midnight, day.stream(Stream.PURCHASE_ARRIVAL)),
        )
    beyond = replace(plan[-1], day=plan[-1].day + timedelta(days=1))
    yield Batch(
        clicks.finish(beyond.stream(Stream.CLICK_ARRIVAL)),
        purchases.finish(beyond.stream(Stream.PURCHASE_ARRIVAL)),
        arrival=clicks.counts + purchases.counts,
    )


def _by_session(rows: C, key: Callable[[Ints], Ints]) -> Iterator[C]:
    """The rows in chunks of whole sessions, the sessions in the order of their key."""
    first = np.flatnonzero(rows.ordinal == 0)
    length = np.diff(np.append(first, len(rows)))
    order = np.argsort(key(rows.session_id[first]), kind="stable")
    for start in range(0, len(order), _CHUNK_SESSIONS):
        chosen = order[start : start + _CHUNK_SESSIONS]
        count = length[chosen]
        ends = np.cumsum(count)
        yield rows.take(np.arange(ends[-1]) + np.repeat(first[chosen] - (ends - count), count))


def _scatter(session_id: Ints) -> Ints:
    """A number that has nothing to do with the size of the id."""
    return session_id * 2_654_435_761 % (1 << 32)
