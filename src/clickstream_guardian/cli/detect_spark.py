"""The command ``guardian detect --engine spark``: its parts put together."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clickstream_guardian.settings import Settings

if TYPE_CHECKING:
    from clickstream_guardian.cli.detect import Watching
    from clickstream_guardian.detector.state import PartitionKey

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 our folder in it is private


def detect_on_spark(
    settings: Settings, group: str, latest: bool, watching: Watching, stop: threading.Event
) -> None:
    """Detect in Spark until told to stop."""
    from clickstream_guardian.cli.detect import live_config
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.engines.spark.session import open_session
    from clickstream_guardian.engines.spark.stream import StreamOptions, stream_properties
    from clickstream_guardian.pipelines import spark_detect
    from clickstream_guardian.sources.kafka.announce import Announcer
    from clickstream_guardian.sources.kafka.registry import SchemaRegistry
    from clickstream_guardian.stack.spark import session_folder, stream_checkpoint

    config = live_config(settings, watching)
    starts = _starts(settings, latest)
    registry = SchemaRegistry(settings.registry_url)
    announcer = Announcer(
        settings.kafka_servers, registry.anomaly_id, settings.delivery_timeout_seconds
    )
    where = spark_detect.Where(
        group,
        settings.kafka_servers,
        settings.registry_url,
        starts,
        _state_folder(settings, group),
        settings.silence_seconds,
    )
    checkpoint = stream_checkpoint(settings, group)
    options = StreamOptions(
        servers=settings.kafka_servers,
        buckets=len(where.buckets),
        starting={},
        checkpoint=checkpoint,
        trigger_seconds=settings.spark_trigger_seconds,
        most_per_trigger=settings.spark_most_per_trigger,
    )
    spark = open_session(
        session_folder(settings, checkpoint),
        f"guardian detect {group}",
        stream_properties(checkpoint),
        settings.java_home,
    )
    try:
        with opened_store(settings) as store:
            spark_detect.detect_on_spark(
                spark,
                lambda: spark_detect.SparkDetection(store, config, announcer, where, watching),
                options,
                watching,
                stop.is_set,
            )
    finally:
        spark.stop()
        shutil.rmtree(where.cache, ignore_errors=True)  # on this host; elsewhere it is reused


def _starts(settings: Settings, latest: bool) -> dict[PartitionKey, int]:
    """Where each partition begins if the group is new."""
    from clickstream_guardian.detector.state import PartitionKey
    from clickstream_guardian.events.fields import EVENT_KINDS
    from clickstream_guardian.sources.kafka.admin import offset_spans
    from clickstream_guardian.sources.kafka.topics import check_event_topics

    check_event_topics(settings.kafka_servers)
    return {
        PartitionKey(kind.topic, span.partition): span.end if latest else span.begin
        for kind in EVENT_KINDS
        for span in offset_spans(settings.kafka_servers, kind.topic)
    }


def _state_folder(settings: Settings, group: str) -> Path:
    """Where executors keep states between batches: in memory if they can."""
    name = hashlib.sha256(f"{settings.home_path}:{group}".encode()).hexdigest()[:16]
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    return place / f"guardian-states-{name}"
