"""The plan of the days: counts, outages, ids, and independence of the range."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.days import SLOTS, Stream, midnight_ms, parts, plan_days, weeks
from clickstream_guardian.lab.parameters import default_parameters

ARRIVALS = default_parameters().arrivals
APRIL_7 = date(2014, 4, 7)


def test_series_gives_the_known_total() -> None:
    plan = plan_days(ARRIVALS, date(2014, 4, 1), date(2014, 9, 29), seed=1)
    assert len(plan) == 182
    assert sum(day.sessions for day in plan) == pytest.approx(9_249_729, rel=0.001)


def test_exact_number_of_sessions() -> None:
    plan = plan_days(ARRIVALS, APRIL_7, date(2014, 4, 20), seed=1, sessions=12_345)
    assert sum(day.sessions for day in plan) == 12_345


def test_a_day_does_not_depend_on_the_range() -> None:
    alone = plan_days(ARRIVALS, APRIL_7, APRIL_7, seed=3)[0]
    among = plan_days(ARRIVALS, date(2014, 4, 1), date(2014, 4, 30), seed=3)[6]
    assert alone == among


def test_streams_differ_by_day_purpose_and_seed() -> None:
    one, two = plan_days(ARRIVALS, APRIL_7, date(2014, 4, 8), seed=3)
    other = plan_days(ARRIVALS, APRIL_7, APRIL_7, seed=4)[0]
    draws = {
        float(stream.random())
        for stream in (
            one.stream(Stream.PEOPLE),
            one.stream(Stream.ATTACKS),
            two.stream(Stream.PEOPLE),
            other.stream(Stream.PEOPLE),
        )
    }
    assert len(draws) == 4
    assert one.stream(Stream.PEOPLE).random() == one.stream(Stream.PEOPLE).random()


def test_real_outages_are_in_the_series() -> None:
    outage = plan_days(ARRIVALS, date(2014, 5, 6), date(2014, 5, 6), seed=1)[0]
    assert outage.sessions < 4_000
    assert outage.buy_factor < 0.1


def test_outage_injected_by_parameter() -> None:
    usual = plan_days(ARRIVALS, APRIL_7, APRIL_7, seed=1)[0]
    outage = plan_days(ARRIVALS, APRIL_7, APRIL_7, seed=1, outages=[APRIL_7])[0]
    assert outage.sessions == pytest.approx(0.05 * usual.sessions, rel=0.1)
    assert outage.buy_factor == pytest.approx(0.02 * usual.buy_factor)


def test_days_outside_the_series_follow_the_weekday() -> None:
    plan = plan_days(ARRIVALS, date(2024, 1, 1), date(2024, 12, 29), seed=1)
    weekday = np.bincount(
        [day.day.weekday() for day in plan], weights=[day.sessions for day in plan]
    )
    share = weekday / weekday.sum()
    assert np.abs(share - np.array(ARRIVALS.weekday_share)).sum() / 2 < 0.03
    assert len({day.sessions for day in plan}) > 300


def test_large_days_come_in_parts_that_add_up() -> None:
    day = plan_days(ARRIVALS, APRIL_7, APRIL_7, seed=1, sessions=1_000_001)[0]
    pieces = parts(day)
    assert sum(piece.sessions for piece in pieces) == 1_000_001
    assert all(piece.sessions < SLOTS for piece in pieces)
    assert len({piece.first_id for piece in pieces}) == len(pieces)


def test_blocks_hold_the_days_of_one_week() -> None:
    plan = plan_days(ARRIVALS, date(2014, 4, 5), date(2014, 4, 15), seed=1, scale=3.0)
    blocks = list(weeks(plan))
    assert [len(block) for block in blocks] == [2] * 3 + [7] * 3 + [2] * 3
    assert [block[0].part for block in blocks] == [0, 1, 2] * 3


@pytest.mark.parametrize("first", [date(1999, 12, 31), date(2014, 3, 30), date(2014, 9, 28)])
def test_id_ranges_of_days_and_parts_are_apart(first: date) -> None:
    plan = plan_days(ARRIVALS, first, first + timedelta(days=9), seed=1, scale=2.0)
    pieces = [piece for day in plan for piece in parts(day)]
    ids = [piece.first_id + 7 * slot for piece in pieces for slot in (0, SLOTS - 1)]
    assert len(set(ids)) == 2 * len(pieces)
    blocks = {((piece.first_id - 1_000) // (7 * SLOTS), piece.day.weekday()) for piece in pieces}
    assert len(blocks) == len(pieces)


def test_midnight() -> None:
    assert midnight_ms(date(1970, 1, 2)) == 86_400_000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"first": date(2014, 4, 8)}, "run backwards"),
        ({"last": date(2214, 4, 8)}, "over 99 years"),
        ({"seed": -1}, "The seed -1 is negative"),
        ({"sessions": 5, "scale": 2.0}, "give one of them"),
        ({"sessions": 0}, "ask for at least 1"),
        ({"scale": 0.0}, "The scale is 0.0"),
        ({"scale": float("nan")}, "The scale is nan"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], sentence: str) -> None:
    asked = {"first": APRIL_7, "last": APRIL_7, "seed": 1, **arguments}
    with pytest.raises(UsageError, match=sentence):
        plan_days(ARRIVALS, **asked)  # type: ignore[arg-type]
