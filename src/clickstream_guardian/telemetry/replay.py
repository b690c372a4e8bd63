"""A replay told to Prometheus and to the log, beside whoever watches it on the screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge, Histogram

from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.telemetry.detection import STEP_SECONDS
from clickstream_guardian.telemetry.log import Event, is_json, tell, tell_anomaly
from clickstream_guardian.telemetry.process import process_registry
from clickstream_guardian.telemetry.told import Told

if TYPE_CHECKING:
    from clickstream_guardian.pipelines.replay import Observer, Saved

_PROGRESS_SECONDS = 10.0


class ReplayMetrics:
    """The metrics of a process that replays files."""

    def __init__(self) -> None:
        self.registry = process_registry()
        place: dict[str, Any] = {
            "registry": self.registry,
            "namespace": "guardian",
            "subsystem": "replay",
        }
        self.events = Counter("events", "Events judged and saved.", **place)
        self.anomalies = Counter("anomalies", "Anomalies found or changed.", ["rule"], **place)
        self.steps = Histogram(
            "step_seconds", "From handing over to saved.", buckets=STEP_SECONDS, **place
        )
        self.behind = Gauge("behind_seconds", "For so long what was judged last was due.", **place)
        self.remaining = Gauge("remaining_events", "Of these files, yet to be judged.", **place)
        self.state_rows = Gauge("state_rows", "Events held in open windows.", **place)


class TellingObserver:
    """Passes a replay's course on, and tells of it.

    Args:
        inner: who watched it before.
        metrics: what is scraped.
        clock: seconds, for how often progress is logged.
    """

    def __init__(
        self,
        inner: Observer,
        metrics: ReplayMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner, self._metrics, self._clock = inner, metrics, clock
        self._events = 0
        self._logged_at = clock()
        self._told = Told()

    def begin(self, work: str, total: int | None) -> None:
        """A piece of work starts."""
        tell(Event.WORK_STARTED, work=work, total=total)
        self._inner.begin(work, total)

    def advance(self, amount: int) -> None:
        """So much of it is done."""
        self._inner.advance(amount)

    def saved(self, batch: Saved) -> None:
        """A batch is judged and saved."""
        self._events += batch.rows
        self._metrics.events.inc(batch.rows)
        self._metrics.remaining.set(batch.left)
        self._metrics.steps.observe(batch.seconds)
        self._metrics.behind.set(batch.behind_seconds)
        self._metrics.state_rows.set(batch.state_rows)
        if self._clock() - self._logged_at >= _PROGRESS_SECONDS:
            self._logged_at = self._clock()
            behind = round(batch.behind_seconds, 3)
            tell(Event.REPLAY_PROGRESS, events=self._events, behind_seconds=behind)
        self._inner.saved(batch)

    def found(self, anomalies: Sequence[Anomaly]) -> None:
        """Anomalies are readable in the database."""
        for anomaly in anomalies:
            self._metrics.anomalies.labels(anomaly.rule).inc()
            if is_json() and self._told.is_new(anomaly.anomaly_id):
                tell_anomaly(anomaly)
        self._inner.found(anomalies)
