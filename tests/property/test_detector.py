"""The detector equals the oracle, however the stream is ordered, cut, repeated or interrupted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickstream_guardian.detector import folds
from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.evaluate import micros
from clickstream_guardian.detector.lateness import NEVER
from clickstream_guardian.detector.model import Anomaly, Status
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.rules.loader import parse_rule
from tests.parity.oracle import OracleAnomaly, OracleEvent, final_anomalies, in_time

FIXTURE = [HealthCheck.function_scoped_fixture]
S = 1_000_000
T0 = 1_396_872_000 * S
RULES = (
    parse_rule(
        """
rule: BURST
version: 1
key: session_id
events: click
window: {tumbling: 10s}
measures: {clicks: count}
when: {clicks: ">= 4"}
severity: high
explain: "{clicks} clicks"
""",
        "burst.yaml",
    ),
    parse_rule(
        """
rule: FEW_ITEMS
version: 2
key: session_id
events: click
window: {hopping: {size: 30s, every: 10s}}
measures: {clicks: count, items: {distinct: item_id}, diversity: {ratio: [items, clicks]}}
when: {clicks: ">= 5", diversity: "<= 0.4"}
severity: critical
explain: "{clicks} clicks on {items} items"
""",
        "few_items.yaml",
    ),
    parse_rule(
        """
rule: STEADY
version: 1
key: session_id
events: click
window: {hopping: {size: 2m, every: 1m}}
measures:
  clicks: count
  items: {distinct: item_id}
  rises: {steps: up}
  rising: {ratio: [rises, clicks]}
  changes: {steps: change}
  slow: {gap: 0.9}
  fast: {gap: 0.2}
  spread: {ratio: [slow, fast]}
when: {clicks: ">= 3", rising: ">= 0.2", changes: ">= 1", spread: "<= 40", slow: "<= 30"}
severity: low
explain: "{clicks} clicks"
""",
        "steady.yaml",
    ),
    parse_rule(
        """
rule: FARM
version: 1
key: item_id
events: click
window: {hopping: {size: 3m, every: 1m}}
members:
  measures: {clicks: count, items: {distinct: item_id}}
  when: {items: "<= 2", clicks: "<= 12"}
measures:
  clicks: count
  sessions: {distinct: session_id}
  few: members
  share: {ratio: [few, sessions]}
when: {few: ">= 2", share: ">= 0.6"}
severity: low
explain: "{few} of {sessions} sessions on {key}"
""",
        "farm.yaml",
    ),
    parse_rule(
        """
rule: LOCKSTEP
version: 1
key: item_set
events: click
window: {tumbling: 1m}
members:
  measures: {items: {distinct: item_id}}
  when: {items: ">= 2"}
measures: {clicks: count, sessions: {distinct: session_id}}
when: {sessions: ">= 2"}
severity: low
explain: "{sessions} sessions on {key}"
""",
        "lockstep.yaml",
    ),
    parse_rule(
        """
rule: RUSH
version: 1
key: site
events: click
window: {tumbling: 1m}
members:
  measures: {clicks: count, pause: {gap: 0.5}}
  when: {clicks: ">= 3", pause: "<= 2"}
measures: {clicks: count, quick: members}
when: {clicks: ">= 12", quick: ">= 2"}
severity: low
explain: "{quick} quick sessions"
""",
        "rush.yaml",
    ),
)
CONFIG = DetectorConfig(RULES, lateness_us=10 * S, idle_us=300 * S, sample_size=3)


@dataclass(frozen=True)
class Stream:
    """Events in arrival order and where the stream is cut into calls."""

    events: list[OracleEvent]
    cuts: list[int]
    partitions: int


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    partitions = draw(st.integers(1, 3))
    step = st.tuples(
        st.integers(0, partitions - 1),
        st.sampled_from(["a", "a", "b", "c"]),
        st.sampled_from([0, 0, 1, 1, 2, 3, 9, 60, -3, -9, -10, -11, -14]).map(lambda d: d * S // 2),
        st.sampled_from(["i", "j", "k"]),
        st.sampled_from([0, 0, 0, 0, 1, 2]),
    )
    clock = T0
    events: list[OracleEvent] = []
    for number, (partition, session, delta, item, back) in enumerate(
        draw(st.lists(step, min_size=20, max_size=90))
    ):
        if back and len(events) >= back:
            events.append(replace(events[-back], partition=partition))
            continue
        at = clock + delta
        clock = max(clock, at)
        # Ids run against time so that their order is not the order of arrival.
        events.append(OracleEvent(partition, session, at, item, 10_000 - number))
    cuts = draw(st.lists(st.integers(0, len(events)), max_size=8))
    return Stream(events, sorted({0, *cuts, len(events)}), partitions)


def key(partition: int) -> PartitionKey:
    return PartitionKey("clicks", partition)


def arrival(partition: int, events: list[OracleEvent], offset: int, **flags: bool) -> Arrival:
    frame = pl.DataFrame(
        {
            "session_id": [e.session_id for e in events],
            "occurred_at": pl.Series([e.at for e in events], dtype=pl.Int64).cast(
                pl.Datetime("us", "UTC")
            ),
            "item_id": [e.item_id for e in events],
            "event_id": pl.Series([e.event_id for e in events], dtype=pl.UInt128),
        },
        schema_overrides={"session_id": pl.String, "item_id": pl.String},
    )
    return Arrival(key(partition), frame, offset + len(events), **flags)


class Host:
    """Feeds a stream to the detector as an engine would, and keeps the rows as a store would."""

    def __init__(self, stream: Stream, config: DetectorConfig = CONFIG) -> None:
        self.config = config
        self.logs = [
            [e for e in stream.events if e.partition == p] for p in range(stream.partitions)
        ]
        self.rows: dict[str, Anomaly] = {}
        self.late: list[int] = []
        self.state = self.fresh()

    def fresh(self) -> BucketState:
        start = [arrival(p, [], 0) for p in range(len(self.logs))]
        return advance(self.config, BucketState(), start).state

    def feed(self, ends: list[int], **flags: bool) -> None:
        arrivals = []
        for p, end in enumerate(ends):
            offset = self.state.partitions[key(p)].next_offset
            events = self.logs[p][offset : max(offset, end)]
            arrivals.append(arrival(p, events, offset, **flags))
        step = advance(self.config, self.state, arrivals)
        self.state = step.state
        self.rows |= {a.anomaly_id: a for a in step.anomalies}
        given = {a.key: a.events for a in arrivals}
        for k, late in step.late.items():
            self.late += [int(i) for i in given[k].filter(late)["event_id"]]

    def crash(self) -> None:
        points, settled = self.state.resume_points(), self.state.settled_us
        self.state = BucketState.resumed(points, settled)

    def finish(self) -> list[OracleAnomaly]:
        self.feed([len(log) for log in self.logs], ended=True)
        # What the store does with a preview that a restart has forgotten.
        assert all(a.status != Status.OPEN or self.crashed for a in self.rows.values())
        final = [as_oracle(a) for a in self.rows.values() if a.status == Status.FINAL]
        return sorted(final, key=lambda a: a.anomaly_id)

    crashed = False


def as_oracle(a: Anomaly) -> OracleAnomaly:
    return OracleAnomaly(
        a.anomaly_id,
        a.rule,
        a.session_id,
        micros(a.window_start),
        tuple(a.measures.items()),
        a.event_count,
        micros(a.first_crossed_at),
        int(a.crossed_event_id, 16),
        tuple(a.sample.event_ids),
    )


def ends_at(stream: Stream, cut: int) -> list[int]:
    seen = stream.events[:cut]
    return [sum(e.partition == p for e in seen) for p in range(stream.partitions)]


def expected(stream: Stream, config: DetectorConfig = CONFIG) -> list[OracleAnomaly]:
    return final_anomalies(config.rules, stream.events, config.lateness_us, config.sample_size)


@pytest.fixture(params=["ordinary", "all big", "put off", "short heads"], autouse=True)
def _fold_sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "all big":
        monkeypatch.setattr(folds, "_BIG", 1)
    if request.param == "put off":
        monkeypatch.setattr(folds, "_BIG", 6)
        monkeypatch.setattr(folds, "_CHEAP", 0)
        monkeypatch.setattr(folds, "_SMALL_GROWTH", 1)
    if request.param == "short heads":
        monkeypatch.setattr(DetectorConfig, "head_size", 4)


@given(streams())
@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURE)
def test_any_cut_gives_the_oracles_rows(stream: Stream) -> None:
    host = Host(stream)
    for cut in stream.cuts:
        host.feed(ends_at(stream, cut))
    assert host.finish() == expected(stream)


@given(streams(), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=FIXTURE)
def test_a_crash_after_any_call_changes_nothing(stream: Stream, data: st.DataObject) -> None:
    host = Host(stream)
    for cut in stream.cuts:
        host.feed(ends_at(stream, cut))
        if data.draw(st.booleans()):
            host.crash()
            host.crashed = True
    assert host.finish() == expected(stream)


@given(streams(), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=FIXTURE)
def test_silence_closes_windows_but_shuts_nobody_out(stream: Stream, data: st.DataObject) -> None:
    host = Host(stream, replace(CONFIG, idle_us=5 * S))
    for cut in stream.cuts:
        quiet = data.draw(st.booleans())
        host.feed(ends_at(stream, cut), silent=quiet or data.draw(st.booleans()), quiet=quiet)
    assert host.finish() == expected(stream)


@given(streams())
@settings(max_examples=60, deadline=None, suppress_health_check=FIXTURE)
def test_late_events_are_handed_back_each_once(stream: Stream) -> None:
    host = Host(stream)
    for cut in stream.cuts:
        host.feed(ends_at(stream, cut))
    host.finish()
    taken = in_time(stream.events, CONFIG.lateness_us)
    late = Counter(e.event_id for e in stream.events) - Counter(e.event_id for e in taken)
    assert Counter(host.late) == late


@given(streams())
@settings(max_examples=30, deadline=None, suppress_health_check=FIXTURE)
def test_a_replay_twice_says_the_same(stream: Stream) -> None:
    first, second = Host(stream), Host(stream)
    for cut in stream.cuts:
        first.feed(ends_at(stream, cut))
    assert first.finish() == second.finish()


@given(streams())
@settings(max_examples=30, deadline=None, suppress_health_check=FIXTURE)
def test_the_state_passed_in_is_not_changed(stream: Stream) -> None:
    host = Host(stream)
    middle = len(stream.events) // 2
    host.feed(ends_at(stream, middle))
    before, counts = host.state, host.state.tally.counts.copy()
    host.feed(ends_at(stream, len(stream.events)))
    assert (before.tally.counts == counts).all()
    assert before.settled_us == NEVER or before.settled_us <= host.state.settled_us
