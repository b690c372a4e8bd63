"""The command that detects on a live log."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from clickstream_guardian.cli.context import Shared, shared, stop_event
from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import Settings, load_settings
from clickstream_guardian.telemetry.log import Event, tell, tell_anomaly

if TYPE_CHECKING:
    from clickstream_guardian.detector.model import Anomaly
    from clickstream_guardian.detector.state import DetectorConfig
    from clickstream_guardian.pipelines.live import LiveOptions
    from clickstream_guardian.store.snapshots import BucketProgress
    from clickstream_guardian.telemetry.detection import DetectionMetrics

_PROGRESS_SECONDS = 10.0


class EngineName(StrEnum):
    """What hosts the detector."""

    EMBEDDED = "embedded"
    SPARK = "spark"


class Start(StrEnum):
    """Where a group without a checkpoint begins."""

    EARLIEST = "earliest"
    LATEST = "latest"


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(detect)


def detect(
    context: typer.Context,
    engine: Annotated[
        EngineName,
        typer.Option(help="embedded: this process, and others like it; spark: Spark's executors."),
    ] = EngineName.EMBEDDED,
    group: Annotated[
        str, typer.Option(help="Consumer group; processes of one group share the work.")
    ] = "guardian-detect",
    start: Annotated[
        Start, typer.Option("--from", help="Where to begin if the group is new.")
    ] = Start.EARLIEST,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve Prometheus metrics there; 0 chooses one.")
    ] = None,
    master: Annotated[
        str | None,
        typer.Option(help="spark: the cluster, such as local[2]; that of the stack by default."),
    ] = None,
    crowds: Annotated[
        bool,
        typer.Option(
            "--crowds",
            help="Judge the rules that need every partition at once, and no others; beside either "
            "engine. A second such process stands by.",
        ),
    ] = False,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="spark: its own checkpoint, a folder or s3://…; in the home by default."),
    ] = None,
) -> None:
    """Detect on the log until Ctrl-C; any number of processes may, and any may die.

    Example: [bold]guardian detect --from latest --metrics-port 9400[/]
    """
    from clickstream_guardian.pipelines.live import LiveOptions
    from clickstream_guardian.telemetry.process import metrics_as_set

    if crowds and engine is EngineName.SPARK:
        raise UsageError("--crowds is the embedded engine's, beside Spark too: leave --engine out.")
    watching = Watching(shared(context))
    settings = load_settings(
        spark_master=master, spark_checkpoint=checkpoint, metrics_port=metrics_port
    )
    stop = stop_event()
    registry = watching.metrics.registry
    with metrics_as_set(registry, settings, "guardian_detect") as address:
        if address is not None:
            watching.say(f"metrics at {address}")
        if engine is EngineName.SPARK:
            from clickstream_guardian.cli.detect_spark import detect_on_spark

            detect_on_spark(settings, group, start is Start.LATEST, watching, stop)
        else:
            options = LiveOptions(group, start is Start.LATEST, settings.silence_seconds)
            if crowds:
                options = replace(
                    options, group=f"{group}-crowds", read_seconds=1.0, says_late=False
                )
            _detect(settings, options, crowds, watching, stop)
    watching.say(f"stopped; {watching.messages:,} messages were judged and saved")


def _detect(
    settings: Settings,
    options: LiveOptions,
    crowds: bool,
    watching: Watching,
    stop: threading.Event,
) -> None:
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.events.fields import EVENT_KINDS
    from clickstream_guardian.pipelines.live import LiveDetection
    from clickstream_guardian.sources.kafka.announce import Announcer
    from clickstream_guardian.sources.kafka.consumer import EventConsumer, WholeLogConsumer
    from clickstream_guardian.sources.kafka.registry import SchemaRegistry
    from clickstream_guardian.sources.kafka.topics import check_event_topics

    config = live_config(settings, watching, crowds=crowds)
    partitions = check_event_topics(settings.kafka_servers)
    registry = SchemaRegistry(settings.registry_url)
    topics = [kind.topic for kind in EVENT_KINDS]
    with opened_store(settings) as store:
        LiveDetection(
            store,
            config,
            WholeLogConsumer(settings.kafka_servers, options.group, topics, partitions)
            if crowds
            else EventConsumer(settings.kafka_servers, options.group, topics),
            Announcer(
                settings.kafka_servers, registry.anomaly_id, settings.delivery_timeout_seconds
            ),
            registry.by_id,
            options,
            watching,
            stop.is_set,
        ).run()


def live_config(settings: Settings, watching: Watching, *, crowds: bool = False) -> DetectorConfig:
    """The rules to judge on the log, and the detector's numbers.

    Args:
        settings: where the rules are.
        watching: is told which are judged elsewhere.
        crowds: those that need every partition at once, rather than those judged one by one.

    Raises:
        UsageError: there is none.
    """
    from clickstream_guardian.cli.opening import detector_config
    from clickstream_guardian.pipelines.live import split_rules

    config = detector_config(settings)
    own, of_crowds = split_rules(config.rules)
    if of_crowds and not crowds:
        names = ", ".join(rule.name for rule in of_crowds)
        watching.say(f"left to `guardian detect --crowds`: {names}")
    rules = of_crowds if crowds else own
    if not rules:
        kind = "by something else than" if crowds else "by"
        raise UsageError(f"No rule is keyed {kind} session_id: there is nothing to judge here.")
    return replace(config, rules=rules)


class Watching:
    """Tells a person and Prometheus how it goes."""

    def __init__(self, common: Shared) -> None:
        from clickstream_guardian.telemetry.detection import DetectionMetrics

        self._notes = common.notes
        self.metrics: DetectionMetrics = DetectionMetrics()
        self.messages = 0
        self._seen: dict[int, BucketProgress] = {}
        self._said = ""
        self._told_at = time.monotonic()

    def say(self, sentence: str) -> None:
        """One line for a person; for a machine an event."""
        tell(Event.NOTED, sentence=sentence)
        self._print(sentence)

    def _print(self, sentence: str) -> None:
        self._notes.print(f"{datetime.now().astimezone():%H:%M:%S} {sentence}", soft_wrap=True)

    def owns(self, progress: Sequence[BucketProgress]) -> None:
        """The buckets of this process have changed; where they stand."""
        now = {one.bucket: one for one in progress}
        for bucket in set(self._seen) - set(now):
            self.metrics.left(bucket)
        self._seen = now
        numbers = ", ".join(str(bucket) for bucket in sorted(now))
        tell(Event.BUCKETS_OWNED, buckets=sorted(now))
        self._print(f"detecting in partition {numbers}" if now else "waiting for partitions")
        self._said = ""

    def saved(
        self, progress: Sequence[BucketProgress], anomalies: Sequence[Anomaly], seconds: float
    ) -> None:
        """A step is readable in the database."""
        self._said = ""
        if seconds:
            self.metrics.step(seconds)
        self.metrics.anomalies(Counter(anomaly.rule for anomaly in anomalies))
        for anomaly in anomalies:
            tell_anomaly(anomaly)
        for now in progress:
            self._note(self._seen[now.bucket], now)
            self._seen[now.bucket] = now
        if time.monotonic() - self._told_at >= _PROGRESS_SECONDS:
            self._told_at = time.monotonic()
            lag = sum(one.lag for one in self._seen.values())
            tell(Event.DETECTION_PROGRESS, messages=self.messages, lag_messages=lag)

    def waits(self, reason: str) -> None:
        """Something is away; said once."""
        self.metrics.waited()
        if reason != self._said:
            tell(Event.WAITING, reason=reason)
            self._print(f"waiting: {reason}")
        self._said = reason

    def _note(self, before: BucketProgress, now: BucketProgress) -> None:
        rejected = Counter(now.rejected_by_reason) - Counter(before.rejected_by_reason)
        messages = now.messages - before.messages
        self.messages += messages
        self.metrics.came(now.bucket, messages, rejected, now.late - before.late)
        watermark = datetime.fromisoformat(now.watermark_at) if now.watermark_at else None
        self.metrics.stands(now.bucket, now.events_per_second, now.lag, now.state_rows, watermark)
