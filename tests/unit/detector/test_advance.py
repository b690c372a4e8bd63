"""The boundaries of windows, thresholds, lateness and status."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from clickstream_guardian.detector.advance import Arrival, Step, advance
from clickstream_guardian.detector.lateness import NEVER, late_mask
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.rules.loader import load_catalogue, parse_rule, rule_text

S = 1_000_000
T0 = 1_396_872_000 * S
CATALOGUE = tuple(r for r in load_catalogue() if r.name in ("HIGH_FREQUENCY", "BOT_LIKE"))
CONFIG = DetectorConfig(CATALOGUE)
KEY = PartitionKey("clicks", 0)


def clicks(
    times: Sequence[float], items: Sequence[str] = ("i",), session: str = "s"
) -> pl.DataFrame:
    micros = [T0 + round(at * S) for at in times]
    return pl.DataFrame(
        {
            "session_id": [session] * len(times),
            "occurred_at": pl.Series(micros, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
            "item_id": [items[n % len(items)] for n in range(len(times))],
            "event_id": pl.Series([m + n for n, m in enumerate(micros)], dtype=pl.UInt128),
        },
        schema_overrides={"session_id": pl.String, "item_id": pl.String},
    )


def feed(state: BucketState, events: pl.DataFrame, **flags: bool) -> Step:
    done = state.partitions[KEY].next_offset if KEY in state.partitions else 0
    return advance(CONFIG, state, [Arrival(KEY, events, done + len(events), **flags)])


def found(events: pl.DataFrame) -> dict[str, list[tuple[str, float]]]:
    step = feed(BucketState(), events, ended=True)
    seen: dict[str, list[tuple[str, float]]] = {}
    for anomaly in step.anomalies:
        start = anomaly.window_start.timestamp() - T0 / S
        seen.setdefault(anomaly.rule, []).append((anomaly.status, start))
    return seen


MANY = [f"i{n}" for n in range(60)]


def test_fifty_clicks_in_ten_seconds_are_an_anomaly_and_forty_nine_are_none() -> None:
    assert found(clicks(np.linspace(0, 9.9, 50).tolist(), MANY)) == {
        "HIGH_FREQUENCY": [("final", 0.0)]
    }
    assert found(clicks(np.linspace(0, 9.9, 49).tolist(), MANY)) == {}


def test_a_windows_end_belongs_to_the_next_window() -> None:
    assert found(clicks([*np.linspace(0, 9.9, 49).tolist(), 10.0], MANY)) == {}
    assert found(clicks([0.0, *np.linspace(10, 19.9, 50).tolist()], MANY)) == {
        "HIGH_FREQUENCY": [("final", 10.0)]
    }


def test_a_hundred_clicks_on_ten_items_are_bot_like_and_on_eleven_are_not() -> None:
    times = [0.6 * n for n in range(100)]
    assert set(found(clicks(times, MANY[:10]))) == {"BOT_LIKE"}
    assert found(clicks(times, MANY[:11])) == {}


def test_the_crossing_event_is_the_fiftieth_in_time_whatever_came_first() -> None:
    events = clicks(np.linspace(0, 9.8, 60).tolist(), MANY)
    (anomaly,) = feed(BucketState(), events.reverse(), ended=True).anomalies
    assert anomaly.first_crossed_at == events["occurred_at"][49]
    assert int(anomaly.crossed_event_id, 16) == events["event_id"][49]
    assert anomaly.sample.event_ids[0] == events["event_id"][0]
    assert anomaly.explanation == "60 clicks in 10 seconds"


def test_a_preview_is_open_as_soon_as_the_rule_holds_and_final_when_the_window_closes() -> None:
    first = feed(BucketState(), clicks(np.linspace(0, 5, 50).tolist(), MANY))
    assert [a.status for a in first.anomalies] == ["open"]
    held = feed(first.state, clicks([19.9], session="other"))
    assert held.anomalies == ()
    closed = feed(held.state, clicks([20.0], session="other"))
    assert [a.status for a in closed.anomalies] == ["final"]


def test_a_preview_that_no_longer_holds_is_withdrawn() -> None:
    few = feed(BucketState(), clicks([0.3 * n for n in range(100)], MANY[:5]))
    assert {a.status for a in few.anomalies} == {"open"}
    more = feed(few.state, clicks([30 + 0.2 * n for n in range(60)], MANY))
    fallen = {a.anomaly_id for a in more.anomalies if a.status == "withdrawn"}
    assert fallen <= {a.anomaly_id for a in few.anomalies}
    assert fallen


def test_a_preview_withdrawn_and_back_has_the_evidence_of_all_that_came() -> None:
    preview = feed(BucketState(), clicks(np.linspace(5, 9, 100).tolist(), MANY[:10]))
    scattered = feed(preview.state, clicks(np.linspace(2, 4, 40).tolist(), MANY[10:50]))
    assert [a.status for a in bot_like(scattered)] == ["withdrawn"] * 6
    back = feed(scattered.state, clicks(np.linspace(9.1, 9.9, 400).tolist(), MANY[:10]))
    at_once = feed(
        BucketState(),
        pl.concat(
            clicks(np.linspace(*span).tolist(), MANY[slice(*items)])
            for *span, items in (
                (2, 4, 40, (10, 50)),
                (5, 9, 100, (0, 10)),
                (9.1, 9.9, 400, (0, 10)),
            )
        ),
    )
    assert bot_like(back) == bot_like(at_once)
    assert len(bot_like(back)) == 6


def bot_like(step: Step) -> list[Anomaly]:
    found = [a for a in step.anomalies if a.rule == "BOT_LIKE"]
    return sorted(found, key=lambda a: a.window_start)


def test_what_has_not_changed_is_not_said_again() -> None:
    first = feed(BucketState(), clicks(np.linspace(0, 5, 50).tolist(), MANY))
    assert feed(first.state, clicks([6.0], session="other")).anomalies == ()


def test_an_event_exactly_as_old_as_the_lateness_allows_is_in_time() -> None:
    at = np.array([T0, T0 - 10 * S, T0 - 10 * S - 1, T0 + S, T0 - 9 * S - 1])
    assert late_mask(at, NEVER, 10 * S).tolist() == [False, False, True, False, True]
    assert late_mask(at[:1], T0 + 10 * S, 10 * S).tolist() == [False]
    assert late_mask(at[:1], T0 + 10 * S + 1, 10 * S).tolist() == [True]


def test_late_events_are_counted_and_take_no_part() -> None:
    step = feed(BucketState(), clicks([60.0, *np.linspace(0, 9, 60).tolist()], MANY), ended=True)
    assert step.anomalies == ()
    assert step.state.partitions[KEY].late_count == 60


def test_the_log_keeps_no_more_than_the_windows_need() -> None:
    state = BucketState()
    for minute in range(50):
        state = feed(state, clicks([minute * 60 + n / 10 for n in range(600)], MANY)).state
    assert state.log_size <= 1_300
    assert len(state.tally.counts) <= 1 << 14


def test_a_state_resumed_from_its_points_says_what_was_left_to_say() -> None:
    events = clicks(np.linspace(0, 9.9, 50).tolist(), MANY)
    first = feed(BucketState(), events)
    resumed = BucketState.resumed(first.state.resume_points(), first.state.settled_us)
    start = resumed.partitions[KEY].next_offset if KEY in resumed.partitions else 0
    again = feed(resumed, events.slice(start), ended=True)
    assert [a.anomaly_id for a in again.anomalies] == [a.anomaly_id for a in first.anomalies]


def test_a_rule_without_a_lower_bound_looks_at_every_session() -> None:
    text = rule_text(next(r for r in CATALOGUE if r.name == "BOT_LIKE"))
    rule = parse_rule(text.replace('clicks: ">= 100", ', ""), "any.yaml")
    config = DetectorConfig((rule,))
    events = clicks([0.0] * 3 + [1.0] * 8, ["i"])
    step = advance(config, BucketState(), [Arrival(KEY, events, 11, ended=True)])
    assert {a.measures["clicks"] for a in step.anomalies} == {11}


def test_quiet_closes_a_window_and_an_event_in_time_reopens_it() -> None:
    started = feed(BucketState(), clicks(np.linspace(0, 6, 60).tolist(), MANY))
    assert [a.status for a in started.anomalies] == ["open"]
    quiet = feed(started.state, clicks([]), silent=True, quiet=True)
    assert [a.status for a in quiet.anomalies] == ["final"]
    again = feed(quiet.state, clicks([7.0], MANY))
    assert [(a.status, a.event_count) for a in again.anomalies] == [("open", 61)]
    closed = feed(again.state, clicks([30.0], MANY))
    assert [(a.status, a.event_count) for a in closed.anomalies] == [("final", 61)]


def test_a_step_tells_which_events_were_late() -> None:
    step = feed(BucketState(), clicks([20.0, 9.9, 10.0, 9.8]))
    assert step.late[KEY].tolist() == [False, True, False, True]
    assert feed(step.state, clicks([20.0])).late == {}
