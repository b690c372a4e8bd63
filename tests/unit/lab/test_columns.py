"""Columns: taking and joining keeps whole rows."""

from __future__ import annotations

import numpy as np

from clickstream_guardian.lab.columns import Clicks


def _clicks(*sessions: int) -> Clicks:
    count = len(sessions)
    return Clicks(
        session_id=np.array(sessions, dtype=np.int64),
        at_ms=np.arange(count, dtype=np.int64) * 1000,
        ordinal=np.zeros(count, dtype=np.int32),
        item=np.array(sessions, dtype=np.int32) * 10,
        category=np.zeros(count, dtype=np.uint8),
    )


def test_take_follows_the_order_asked_for() -> None:
    taken = _clicks(5, 6, 7).take(np.array([2, 0]))
    assert taken.session_id.tolist() == [7, 5]
    assert taken.item.tolist() == [70, 50]


def test_join_keeps_the_order_of_the_parts() -> None:
    joined = Clicks.join([_clicks(5), _clicks(), _clicks(6, 7)])
    assert len(joined) == 3
    assert joined.session_id.tolist() == [5, 6, 7]
