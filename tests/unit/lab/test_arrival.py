"""Arrival order, judged by a plain reading of what late means."""

from __future__ import annotations

import numpy as np
import pytest

from clickstream_guardian.lab.arrival import ArrivalQueue, Disturbance
from clickstream_guardian.lab.columns import Clicks

HOUR = 3_600_000


def _clicks(seed: int, count: int, hours: int) -> Clicks:
    """Events in no order of time; the session is the event's own number."""
    at = np.random.default_rng(seed).integers(0, hours * HOUR, count)
    return Clicks(
        session_id=np.arange(count, dtype=np.int64),
        at_ms=at,
        ordinal=np.zeros(count, dtype=np.int32),
        item=np.zeros(count, dtype=np.int32),
        category=np.zeros(count, dtype=np.uint8),
    )


def _arrive(clicks: Clicks, disturbance: Disturbance, hours: int) -> Clicks:
    """All clicks through the queue, hour by hour."""
    queue: ArrivalQueue[Clicks] = ArrivalQueue(disturbance)
    queue.add(clicks)
    generator = np.random.default_rng(1)
    out = [queue.release((hour + 1) * HOUR, generator) for hour in range(hours)]
    out.append(queue.finish(generator))
    return Clicks.join([rows for rows in out if rows is not None])


def _judge(clicks: Clicks) -> tuple[int, int, int]:
    """Displaced, late and repeated events, read one by one."""
    greatest, seen = -1, set[int]()
    displaced = late = repeated = 0
    for session, at in zip(clicks.session_id.tolist(), clicks.at_ms.tolist(), strict=True):
        again = session in seen
        behind = greatest - at
        repeated += again
        late += not again and behind > 10_000
        displaced += not again and 0 < behind <= 10_000
        assert not (again and behind > 10_000), "a repeat must come within the lateness"
        seen.add(session)
        greatest = max(greatest, at)
    return displaced, late, repeated


def test_undisturbed_is_sorted_by_time() -> None:
    rows = _arrive(_clicks(1, 5_000, 3), Disturbance(), 3)
    assert len(rows) == 5_000
    assert np.all(np.diff(rows.at_ms) >= 0)


@pytest.mark.parametrize(
    ("disorder", "late", "duplicates"),
    [(0.05, 0.0, 0.0), (0.0, 0.03, 0.0), (0.0, 0.0, 0.04), (0.1, 0.02, 0.05), (0.4, 0.1, 0.2)],
)
def test_shares_are_as_asked(disorder: float, late: float, duplicates: float) -> None:
    count = 40_000
    rows = _arrive(_clicks(2, count, 4), Disturbance(disorder, late, duplicates), 4)
    displaced, judged_late, repeated = _judge(rows)
    assert displaced / count == pytest.approx(disorder, rel=0.1, abs=1e-9)
    assert judged_late / count == pytest.approx(late, rel=0.1, abs=1e-9)
    assert repeated / count == pytest.approx(duplicates * (1 - late), rel=0.1, abs=1e-9)


def test_counts_are_what_a_reader_finds() -> None:
    queue: ArrivalQueue[Clicks] = ArrivalQueue(Disturbance(0.1, 0.05, 0.1))
    queue.add(_clicks(3, 20_000, 2))
    rows = queue.finish(np.random.default_rng(4))
    assert rows is not None
    counts = queue.counts
    assert _judge(rows) == (counts.displaced, counts.late, counts.repeated)


def test_nothing_is_lost_and_only_repeats_are_added() -> None:
    rows = _arrive(_clicks(5, 10_000, 2), Disturbance(0.2, 0.1, 0.0), 2)
    assert sorted(rows.session_id.tolist()) == list(range(10_000))


def test_events_beyond_the_instant_wait() -> None:
    queue: ArrivalQueue[Clicks] = ArrivalQueue(Disturbance(late=0.3))
    clicks = _clicks(6, 2_000, 2)
    queue.add(clicks)
    early = queue.release(HOUR, np.random.default_rng(1))
    assert early is not None
    assert early.at_ms.max() < HOUR
    rest = queue.finish(np.random.default_rng(2))
    assert rest is not None
    assert len(early) + len(rest) == 2_000


def test_where_traffic_is_thin_no_event_is_late_by_mistake() -> None:
    rows = _arrive(_clicks(7, 200, 4), Disturbance(disorder=0.5), 4)
    assert _judge(rows)[1] == 0


def test_an_empty_queue_gives_nothing() -> None:
    queue: ArrivalQueue[Clicks] = ArrivalQueue(Disturbance(0.1, 0.1, 0.1))
    assert queue.finish(np.random.default_rng(1)) is None
    queue.add(_clicks(1, 0, 1))
    assert queue.finish(np.random.default_rng(1)) is None
