"""Puts anomalies and late events on the log, for whoever wants to hear of them.

At least once: they are acknowledged before the checkpoint is saved, so a crash in between says
them again. A reader tells by the key: an anomaly's or event's id.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import fastavro
from confluent_kafka import KafkaError, Message, Producer

from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.schemas import ANOMALY_FIELDS, avro_files
from clickstream_guardian.sources.kafka.avro import MAGIC
from clickstream_guardian.sources.kafka.producer import producer_settings
from clickstream_guardian.sources.kafka.topics import ANOMALIES_TOPIC, LATE_TOPIC

ANOMALY_SUBJECT_FILE = "anomaly-event.avsc"
_QUEUE = 50_000


class Announcer:
    """A producer of ``anomalies.v1`` and ``late.v1``.

    Args:
        servers: bootstrap servers.
        schema_id: asks the registry for the id of the anomaly schema, when first needed.
        patience_seconds: after which a message that was not acknowledged is given up.
    """

    def __init__(self, servers: str, schema_id: Callable[[], int], patience_seconds: float) -> None:
        self._schema_id = schema_id
        self._schema = fastavro.parse_schema(avro_files()[ANOMALY_SUBJECT_FILE])
        self._patience = patience_seconds
        self._failed: str | None = None
        settings = producer_settings(servers, max(1, round(patience_seconds)))
        self._producer = Producer(
            settings
            | {
                "linger.ms": 2,
                "queue.buffering.max.messages": _QUEUE,
                "on_delivery": self._on_failure,
            }
        )

    def anomalies(self, anomalies: Iterable[Anomaly]) -> None:
        """Queue anomalies as they are now; the same one again is an update.

        Raises:
            GuardianError: the registry is away, and was not asked before.
        """
        for anomaly in anomalies:
            self._send(ANOMALIES_TOPIC, anomaly.anomaly_id, self._encoded(anomaly))

    def late(self, late: Iterable[tuple[str, bytes]]) -> None:
        """Queue late events: id in hex, and the message as it came."""
        for event_id, value in late:
            self._send(LATE_TOPIC, event_id, value)

    def flush(self) -> None:
        """Wait until all of it is acknowledged.

        Raises:
            GuardianError: it was not in time; say it again.
        """
        until = time.monotonic() + self._patience + 5
        while len(self._producer) and time.monotonic() < until:
            self._producer.poll(0.005)
        if left := len(self._producer):
            self._failed = f"{left} without an answer"
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise GuardianError(
                f"Anomalies and late events were not acknowledged by Kafka ({failed}); "
                "they are said again."
            )

    def _send(self, topic: str, key: str, value: bytes) -> None:
        while len(self._producer) >= _QUEUE:
            self._producer.poll(0.02)
        self._producer.produce(topic, value, key)
        self._producer.poll(0)

    @cached_property
    def _header(self) -> bytes:
        return MAGIC + self._schema_id().to_bytes(4, "big")

    def _encoded(self, anomaly: Anomaly) -> bytes:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self._schema, _row(anomaly))
        return self._header + body.getvalue()

    def _on_failure(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed = error.str()


def _row(anomaly: Anomaly) -> dict[str, Any]:
    row = {field.name: getattr(anomaly, field.name) for field in ANOMALY_FIELDS}
    return row | {
        "status": str(anomaly.status),
        "measures": json.dumps(dict(anomaly.measures), sort_keys=True),
    }
