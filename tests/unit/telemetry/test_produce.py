"""What producers count is asked of them when Prometheus asks."""

from __future__ import annotations

from dataclasses import dataclass

from clickstream_guardian.telemetry.produce import ProduceMetrics


@dataclass
class Producing:
    events_sent: int = 0
    rejections_sent: int = 0
    acknowledged: int = 0


def test_each_kind_is_told_apart_and_as_it_stands_when_asked() -> None:
    metrics, clicks, purchases = ProduceMetrics(), Producing(), Producing(7, 0, 7)
    metrics.watch("click", clicks)
    metrics.watch("purchase", purchases)
    value = metrics.registry.get_sample_value
    assert value("guardian_produce_events_total", {"kind": "click"}) == 0
    clicks.events_sent, clicks.rejections_sent, clicks.acknowledged = 100, 3, 60
    assert value("guardian_produce_events_total", {"kind": "click"}) == 100
    assert value("guardian_produce_rejected_total", {"kind": "click"}) == 3
    assert value("guardian_produce_unacknowledged_messages", {"kind": "click"}) == 43
    assert value("guardian_produce_events_total", {"kind": "purchase"}) == 7
    assert value("guardian_produce_unacknowledged_messages", {"kind": "purchase"}) == 0
