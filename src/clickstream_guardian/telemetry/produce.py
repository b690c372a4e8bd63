"""A producer's course told to Prometheus: it is asked when scraped, so sending costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from clickstream_guardian.telemetry.process import process_registry


class Counting(Protocol):
    """What counts the messages that it puts on the log."""

    @property
    def events_sent(self) -> int:
        """Events handed over."""

    @property
    def rejections_sent(self) -> int:
        """Dead letters handed over."""

    @property
    def acknowledged(self) -> int:
        """Messages that all replicas have."""


class ProduceMetrics(Collector):
    """The metrics of a process that puts events on the log."""

    def __init__(self) -> None:
        self.registry = process_registry()
        self.registry.register(self)
        self._producers: dict[str, Counting] = {}

    def watch(self, kind: str, producer: Counting) -> None:
        """Tell of a producer of a kind of events from now on."""
        self._producers[kind] = producer

    def collect(self) -> Iterator[Metric]:
        """What the producers say now."""
        events = CounterMetricFamily(
            "guardian_produce_events", "Events handed to the log.", labels=["kind"]
        )
        rejected = CounterMetricFamily(
            "guardian_produce_rejected", "Lines that are no event.", labels=["kind"]
        )
        under_way = GaugeMetricFamily(
            "guardian_produce_unacknowledged_messages",
            "Handed over, and not yet with every replica.",
            labels=["kind"],
        )
        for kind, one in tuple(self._producers.items()):
            acknowledged = one.acknowledged
            sent, letters = one.events_sent, one.rejections_sent
            events.add_metric([kind], sent)
            rejected.add_metric([kind], letters)
            under_way.add_metric([kind], max(0, sent + letters - acknowledged))
        yield from (events, rejected, under_way)
