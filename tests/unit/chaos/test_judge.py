"""A verdict counts from the first new output, and tells each kind of harm."""

from __future__ import annotations

from typing import Any

from clickstream_guardian.chaos.judge import Times, Verdict, judge
from clickstream_guardian.chaos.observe import Sample

TIMES = Times(fault=10.0, detected=10.5, lifted=10.0, restarted=10.6, ended=20.0)
SAMPLES = (
    Sample(9.9, 100, 1),
    Sample(10.7),
    Sample(12.0, 110, 1),  # saved before the fault, seen after it
    Sample(13.0, 110, 1),
    Sample(14.5, 111, 2),
)
LABELS = {"7": "runaway", "8": "runaway", "9": "control"}
NONE: list[dict[str, Any]] = []


def anomaly(session: str, clicks: int = 60) -> dict[str, Any]:
    row = dict.fromkeys(("rule", "window_start", "window_end", "severity", "status"), "x")
    return row | {"session_id": session, "measures": {"clicks": clicks}}


def verdict(found: dict[str, dict[str, Any]], imbalances: list[dict[str, Any]] = NONE) -> Verdict:
    expected = {"a": anomaly("7"), "b": anomaly("9")}
    return judge(SAMPLES, TIMES, {"imbalances": imbalances}, found, expected, LABELS)


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


def test_a_home_that_never_came_back_is_not_clean() -> None:
    calm = {"a": anomaly("7"), "b": anomaly("9")}
    one = judge(SAMPLES[:4], TIMES, {"imbalances": []}, calm, calm, LABELS)
    assert (one.recovery_seconds, one.is_clean) == (None, False)
