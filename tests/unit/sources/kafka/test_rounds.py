"""Rounds of a loop are the same traffic, later, in other sessions, as other events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.events.schemas import arrow_schema
from clickstream_guardian.sources.kafka.rounds import in_round

AT = datetime(2014, 4, 7, 10, tzinfo=UTC)
EVENTS = pa.Table.from_pylist(
    [
        {"event_id": bytes([n] * 16), "session_id": f"s{n % 2}", "occurred_at": AT, "item_id": "i"}
        for n in range(4)
    ],
    schema=arrow_schema(CLICK),
)


def test_the_first_round_is_the_file() -> None:
    assert in_round(CLICK, EVENTS, 0, 60_000_000) is EVENTS


def test_a_later_round_is_shifted_and_renamed() -> None:
    second = in_round(CLICK, EVENTS, 2, 60_000_000)
    assert second.schema == EVENTS.schema
    assert second["session_id"].to_pylist() == ["s0~2", "s1~2", "s0~2", "s1~2"]
    assert set(second["occurred_at"].to_pylist()) == {AT + timedelta(minutes=2)}
    assert second["item_id"] == EVENTS["item_id"]


def test_every_round_has_ids_of_its_own_and_always_the_same() -> None:
    rounds = [in_round(CLICK, EVENTS, number, 1) for number in (0, 1, 2, 1)]
    ids = [tuple(events["event_id"].to_pylist()) for events in rounds]
    assert ids[1] == ids[3]
    assert len({one for three in ids[:3] for one in three}) == 12
