"""A replay's course reaches Prometheus, and whoever watched before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from clickstream_guardian.detector.model import Anomaly, Sample
from clickstream_guardian.pipelines.replay import Saved
from clickstream_guardian.telemetry.replay import ReplayMetrics, TellingObserver

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Inner:
    """Notes what is passed on."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def begin(self, work: str, total: int | None) -> None:
        self.seen.append((work, total))

    def advance(self, amount: int) -> None:
        self.seen.append((amount,))

    def saved(self, batch: Saved) -> None:
        self.seen.append((batch,))

    def found(self, anomalies: Sequence[Anomaly]) -> None:
        self.seen.append(tuple(one.rule for one in anomalies))


def anomaly(rule: str) -> Anomaly:
    whole = ("a" * 32, rule, 1, "high", "s", AT, AT, "final", {}, {}, 1, AT, "b" * 32, "why")
    return Anomaly(*whole, Sample.of([], [], []))  # type: ignore[arg-type]


def test_what_is_judged_and_found_is_counted_and_passed_on() -> None:
    inner, metrics = Inner(), ReplayMetrics()
    telling = TellingObserver(inner, metrics)
    telling.begin("Landing and judging", 10)
    steps = [Saved(4, 6, 0.2, 1.5, 4), Saved(6, 0, 0.3, 0.0, 9)]
    for step in steps:
        telling.saved(step)
    telling.found([anomaly("BOT_LIKE"), anomaly("BOT_LIKE")])
    telling.advance(10)
    assert inner.seen == [
        *(("Landing and judging", 10), (steps[0],), (steps[1],)),
        *(("BOT_LIKE", "BOT_LIKE"), (10,)),
    ]
    value = metrics.registry.get_sample_value
    assert value("guardian_replay_events_total") == 10
    assert value("guardian_replay_remaining_events") == 0
    assert value("guardian_replay_behind_seconds") == 0
    assert value("guardian_replay_step_seconds_count") == 2
    assert value("guardian_replay_state_rows") == 9
    assert value("guardian_replay_anomalies_total", {"rule": "BOT_LIKE"}) == 2
    assert (value("process_resident_memory_bytes") or 0) > 1_000_000
