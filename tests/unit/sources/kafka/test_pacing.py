"""Event-time pacing with a clock of our own."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.sources.kafka.pacing import TICK_SECONDS, Pacer, parse_speed


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def at_seconds(*seconds: float) -> pa.Table:
    micros = [round(second * 1e6) for second in seconds]
    return pa.table({"occurred_at": pa.array(micros).cast(pa.timestamp("us", "UTC"))})


def times_of(speed: float, *tables: pa.Table) -> list[tuple[float, int]]:
    clock = Clock()
    pacer = Pacer(speed, None, clock, clock.sleep)
    return [
        (round(clock.now - 100.0, 6), len(part)) for table in tables for part in pacer.paced(table)
    ]


def test_events_leave_in_the_rhythm_of_their_own_time() -> None:
    assert times_of(1, at_seconds(0, 0.01, 1, 1.02)) == [(TICK_SECONDS, 2), (1.05, 2)]


def test_speed_divides_the_waiting() -> None:
    assert times_of(100, at_seconds(0, 100)) == [(TICK_SECONDS, 1), (1.05, 1)]


def test_the_rhythm_goes_on_from_table_to_table() -> None:
    assert times_of(1, at_seconds(0), at_seconds(2)) == [(TICK_SECONDS, 1), (2.05, 1)]


def test_a_common_origin_keeps_files_in_step() -> None:
    clock = Clock()
    pacer = Pacer(1, 0, clock, clock.sleep)
    assert [len(part) for part in pacer.paced(at_seconds(3))] == [1]
    assert clock.now == pytest.approx(103.05)


def test_at_speed_max_nothing_is_cut_or_held() -> None:
    assert times_of(math.inf, at_seconds(0, 1, 1000)) == [(0.0, 3)]


def test_no_events_take_no_time() -> None:
    assert times_of(1, at_seconds()) == [(0.0, 0)]


@pytest.mark.parametrize(("text", "speed"), [("max", math.inf), ("1", 1.0), ("2.5", 2.5)])
def test_speeds(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan", ""])
def test_what_is_no_speed(text: str) -> None:
    with pytest.raises(UsageError, match="Replay speed"):
        parse_speed(text)
