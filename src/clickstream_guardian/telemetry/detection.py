"""Prometheus metrics of a process that detects on a live log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from clickstream_guardian.telemetry.process import process_registry

STEP_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class DetectionMetrics:
    """The metrics."""

    def __init__(self) -> None:
        self.registry = process_registry()
        place: dict[str, Any] = {
            "registry": self.registry,
            "namespace": "guardian",
            "subsystem": "detect",
        }
        self._messages = Counter("messages", "Messages judged.", ["bucket"], **place)
        self._rejected = Counter("rejected", "Messages that are no event.", ["reason"], **place)
        self._late = Counter("late", "Events too late for detection.", **place)
        self._anomalies = Counter("anomalies", "Anomalies found or changed.", ["rule"], **place)
        self._waits = Counter("waits", "Times that something was away.", **place)
        self._steps = Histogram(
            "step_seconds", "From reading to saved.", buckets=STEP_SECONDS, **place
        )
        self._rate = Gauge("messages_per_second", "At present.", ["bucket"], **place)
        self._lag = Gauge("lag_messages", "On the log, not yet judged.", ["bucket"], **place)
        self._rows = Gauge("state_rows", "Events held in open windows.", ["bucket"], **place)
        self._watermark = Gauge(
            "watermark_timestamp_seconds",
            "Windows that end by then are closed.",
            ["bucket"],
            **place,
        )

    def step(self, seconds: float) -> None:
        """A step was saved so long after its messages were read."""
        self._steps.observe(seconds)

    def waited(self) -> None:
        """Something was away."""
        self._waits.inc()

    def anomalies(self, by_rule: Mapping[str, int]) -> None:
        """So many were found or have changed."""
        for rule, count in by_rule.items():
            self._anomalies.labels(rule).inc(count)

    def came(self, bucket: int, messages: int, rejected: Mapping[str, int], late: int) -> None:
        """So much was judged since the last time."""
        self._messages.labels(bucket).inc(messages)
        self._late.inc(late)
        for reason, count in rejected.items():
            self._rejected.labels(reason).inc(count)

    def stands(
        self, bucket: int, rate: float, lag: int, state_rows: int, watermark: datetime | None
    ) -> None:
        """Where a bucket is now."""
        self._rate.labels(bucket).set(rate)
        self._lag.labels(bucket).set(lag)
        self._rows.labels(bucket).set(state_rows)
        if watermark is not None:
            self._watermark.labels(bucket).set(watermark.timestamp())

    def left(self, bucket: int) -> None:
        """A bucket is another process's now."""
        for gauge in (self._rate, self._lag, self._rows, self._watermark):
            gauge.remove_by_labels({"bucket": str(bucket)})
