"""What the API measures of itself, in a registry of its own, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from clickstream_guardian.api.stream import ChangeFeed
from clickstream_guardian.telemetry.process import process_registry

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Measures:
    """Requests by route, method and status; how long they took; open streams; the pool's use."""

    def __init__(self, pool_use: Callable[[], Mapping[str, int]], feed: ChangeFeed) -> None:
        self.registry = process_registry()
        self._requests = Counter(
            "guardian_api_requests",
            "Requests answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "guardian_api_request_seconds",
            "Time from the request to the last byte of its answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        streams = Gauge(
            "guardian_api_streams", "Streams of changes open now.", registry=self.registry
        )
        streams.set_function(lambda: feed.listeners)
        self.registry.register(_PoolCollector(pool_use))
        self._children: dict[tuple[str, str, int], Counter] = {}

    def answered(self, route: str, method: str, status: int, seconds: float | None) -> None:
        """Count one request; ``seconds`` None for a stream, whose length says nothing."""
        key = (route, method, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(route, method, status)
        child.inc()
        if seconds is not None:
            self._seconds.labels(route).observe(seconds)

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> bytes:
        """Everything in the text format, with gauges (meaning and value by name) of the moment."""
        registry = CollectorRegistry()
        for name, (meaning, value) in gauges.items():
            Gauge(name, meaning, registry=registry).set(value)
        return generate_latest(self.registry) + generate_latest(registry)


class _PoolCollector(Collector):
    def __init__(self, use: Callable[[], Mapping[str, int]]) -> None:
        self._use = use

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "guardian_api_connections",
            "Database connections open and idle, and callers waiting for one.",
            labels=["state"],
        )
        for state, count in self._use().items():
            family.add_metric([state], count)
        yield family
