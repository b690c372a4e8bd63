"""Rules judged at close: when a window is judged, whom a crowd rule blames, and what it says."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.evaluate import instant
from clickstream_guardian.detector.model import Anomaly, Status
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.rules.loader import parse_rule

S = 1_000_000
T0 = 1_396_872_000 * S
KEY = PartitionKey("clicks", 0)
STEADY = """
rule: STEADY
version: 1
key: session_id
events: click
window: {hopping: {size: 2m, every: 1m}}
measures:
  clicks: count
  changes: {steps: change}
  slow: {gap: 0.9}
  fast: {gap: 0.1}
  spread: {ratio: [slow, fast]}
when: {clicks: ">= 4", changes: ">= 2", spread: "<= 2"}
severity: low
explain: "{clicks} clicks"
"""
FARM = """
rule: FARM
version: 1
key: item_id
events: click
window: {tumbling: 1m}
members:
  measures: {items: {distinct: item_id}}
  when: {items: "<= 1"}
measures: {sessions: {distinct: session_id}, devoted: members, share: {ratio: [devoted, sessions]}}
when: {devoted: ">= 2", share: ">= 0.6"}
severity: low
explain: "{devoted} of {sessions} on {key}"
"""
Click = tuple[str, float, str]


def _judge(text: str, *calls: list[Click], ended: bool = True) -> list[list[Anomaly]]:
    config = DetectorConfig((parse_rule(text, "rule.yaml"),), lateness_us=10 * S)
    state, offset, said = BucketState(), 0, []
    for number, clicks in enumerate(calls):
        frame = pl.DataFrame(
            {
                "session_id": [session for session, _, _ in clicks],
                "occurred_at": pl.Series([T0 + round(at * S) for _, at, _ in clicks]).cast(
                    pl.Datetime("us", "UTC")
                ),
                "item_id": [item for _, _, item in clicks],
                "event_id": pl.Series([offset + n for n in range(len(clicks))], dtype=pl.UInt128),
            }
        )
        offset += len(clicks)
        last = ended and number == len(calls) - 1
        step = advance(config, state, [Arrival(KEY, frame, offset, ended=last)])
        state = step.state
        said.append(list(step.anomalies))
    return said


def test_a_window_is_judged_when_it_closes_and_not_before() -> None:
    clicks = [("a", n * 10.0, "ij"[n % 2]) for n in range(6)]
    before, at_close = _judge(STEADY, clicks, [("b", 71.0, "i")], ended=False)
    assert before == []
    (anomaly,) = at_close
    assert (anomaly.status, anomaly.session_id) == (Status.FINAL, "a")
    assert anomaly.window_end == instant(T0 + 60 * S)
    assert anomaly.measures["spread"] == 1.0
    assert anomaly.first_crossed_at == instant(T0 + 30 * S)


def test_a_pause_is_divided_into_seconds_without_loss() -> None:
    clicks = [("a", n * 0.224, "ij"[n % 2]) for n in range(5)]
    (said,) = _judge(STEADY, clicks)
    assert {anomaly.measures["fast"] for anomaly in said} == {0.224}


def test_a_tab_that_stays_on_its_item_does_not_move() -> None:
    assert _judge(STEADY, [("a", n * 10.0, "i") for n in range(9)]) == [[]]


def test_a_crowd_blames_its_members_and_names_its_key() -> None:
    clicks = [("a", 1.0, "i"), ("b", 2.0, "i"), ("c", 3.0, "i"), ("c", 4.0, "j"), ("d", 5.0, "j")]
    (said,) = _judge(FARM, clicks)
    assert {(a.session_id, a.explanation) for a in said} == {
        ("a", "2 of 3 on i"),
        ("b", "2 of 3 on i"),
    }
    assert all(a.window_end - a.window_start == timedelta(minutes=1) for a in said)
    assert len({a.anomaly_id for a in said}) == 2


def test_a_crowd_below_its_share_blames_nobody() -> None:
    guests = [(f"g{n}", 10.0 + n, item) for n in range(3) for item in "ij"]
    assert _judge(FARM, [("a", 1.0, "i"), ("b", 2.0, "i"), *guests]) == [[]]
