"""A verdict counts from the first new output, and tells each kind of harm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from clickstream_guardian.chaos.api import ApiVerdict, api_verdict
from clickstream_guardian.chaos.judge import Times, Verdict, judge
from clickstream_guardian.chaos.observe import Sample
from clickstream_guardian.chaos.timetable import Timetable
from clickstream_guardian.sources.stream_clock import StreamClock

TIMES = Times(fault=10.0, detected=10.5, lifted=10.0, restarted=10.6, ended=20.0)
SAMPLES = (
    Sample(9.9, 100, 1),
    Sample(10.7),
    Sample(12.0, 110, 1),  # saved before the fault, seen after it
    Sample(13.0, 110, 1),
    Sample(14.5, 111, 2),
)
LABELS = {"7": "runaway", "8": "runaway", "9": "control"}
WATCHED_FROM = 1_000_000.0
CLOCK = StreamClock(0, WATCHED_FROM - 90, 1.0)
TIMETABLE = Timetable(np.arange(0, 111) * 1_000_000, CLOCK, WATCHED_FROM)
"""A line a second; the hundredth is due at 10 s, the last but one at 20 s."""
NONE: list[dict[str, Any]] = []
API = ApiVerdict(40, 3, 2, 0, 0.4, 1.0)


def anomaly(session: str, clicks: int = 60) -> dict[str, Any]:
    row = dict.fromkeys(("rule", "window_start", "window_end", "severity", "status"), "x")
    return row | {"session_id": session, "measures": {"clicks": clicks}}


def verdict(
    found: dict[str, dict[str, Any]],
    imbalances: list[dict[str, Any]] = NONE,
    api: ApiVerdict = API,
) -> Verdict:
    expected = {"a": anomaly("7"), "b": anomaly("9")}
    balance = {"imbalances": imbalances}
    return judge(SAMPLES, TIMES, TIMETABLE, balance, found, expected, LABELS, api)


def test_recovery_ends_with_the_first_output_that_was_not_there_before() -> None:
    one = verdict({"a": anomaly("7"), "b": anomaly("9")})
    assert (one.detection_seconds, one.recovery_seconds) == (0.5, 4.5)
    assert (one.attacks_found, one.attacks_missed, one.is_clean) == (1, 0, True)


def test_a_missing_an_added_and_a_different_anomaly_are_wrong() -> None:
    assert verdict({"a": anomaly("7"), "b": anomaly("9", 61), "c": anomaly("5")}).wrong == 2
    missing = verdict({"b": anomaly("9")})
    assert (missing.wrong, missing.attacks_missed, missing.is_clean) == (1, 1, False)


def test_lost_and_doubled_lines_are_counted() -> None:
    there = {"where": "offsets that are there", "came_in": 10, "found": 7}
    twice = {"where": "offsets that are there twice", "came_in": 0, "found": 2}
    one = verdict({"a": anomaly("7"), "b": anomaly("9")}, [there, twice])
    assert (one.lost, one.twice, one.is_clean) == (3, 2, False)


@pytest.mark.parametrize(
    "api", [ApiVerdict(40, 0, 0, 1, 0.4, 1.0), api_verdict([])], ids=["wrong", "silent"]
)
def test_an_api_that_answers_wrongly_or_never_is_not_clean(api: ApiVerdict) -> None:
    assert not verdict({"a": anomaly("7"), "b": anomaly("9")}, api=api).is_clean


def test_a_home_that_never_came_back_is_not_clean() -> None:
    calm = {"a": anomaly("7"), "b": anomaly("9")}
    one = judge(SAMPLES[:4], TIMES, TIMETABLE, {"imbalances": []}, calm, calm, LABELS, API)
    assert (one.recovery_seconds, one.caught_up_seconds, one.is_clean) == (None, None, False)


def test_output_has_caught_up_when_all_that_was_due_a_second_ago_is_saved_for_good() -> None:
    samples = [Sample(at, judged) for at, judged in ((12.0, 102), (13.0, 102), (15.0, 105))]
    assert TIMETABLE.lag(samples) == [(12.0, 1), (13.0, 2), (15.0, 1)]
    assert TIMETABLE.caught_up(samples, 12.0) == 15.0
    assert TIMETABLE.caught_up(samples[:2], 12.0) is None


def test_an_anomaly_is_as_old_as_its_crossing_event_is_overdue() -> None:
    crossed = datetime(1970, 1, 1, 0, 1, 35, tzinfo=UTC)
    saved = datetime(1970, 1, 12, 13, 46, 46, 500_000, tzinfo=UTC)
    assert TIMETABLE.latencies([(crossed, saved)]) == [(6.5, 1.5)]
