"""Puts events and dead letters on the log: acknowledged by all replicas, each exactly once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.sources.kafka.avro import encode
from clickstream_guardian.sources.kafka.client import client_settings
from clickstream_guardian.sources.kafka.deadletter import dead_letter_headers
from clickstream_guardian.sources.kafka.topics import DEAD_LETTER_TOPIC

BATCH_MESSAGES = 10_000
QUEUE_MESSAGES = 200_000
QUEUE_KBYTES = 262_144


def producer_settings(servers: str, delivery_timeout_seconds: int) -> dict[str, Any]:
    """librdkafka's settings: no loss, no repeats, order within a session, bounded memory."""
    return {
        **client_settings(servers),
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "linger.ms": 20,
        "batch.size": 1_000_000,
        "delivery.timeout.ms": delivery_timeout_seconds * 1000,
        "queue.buffering.max.messages": QUEUE_MESSAGES + BATCH_MESSAGES,
        "queue.buffering.max.kbytes": QUEUE_KBYTES,
        "delivery.report.only.error": True,
    }


class EventProducer:
    """A producer of events. ``send`` blocks while too much is under way: memory stays bounded.

    Args:
        servers: bootstrap servers.
        schema_ids: event kind's name to the registry's id of its schema.
        delivery_timeout_seconds: a broker's absence up to this long loses nothing; what is not
            acknowledged by then makes ``send`` or ``flush`` fail.
    """

    def __init__(
        self, servers: str, schema_ids: Mapping[str, int], delivery_timeout_seconds: int
    ) -> None:
        self._schema_ids = dict(schema_ids)
        self._failed = 0
        self._reason = ""
        self._servers = servers
        self._patience = delivery_timeout_seconds
        self.events_sent = 0
        self.rejections_sent = 0
        self._producer = Producer(
            producer_settings(servers, delivery_timeout_seconds) | {"on_delivery": self._on_failure}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.flush()

    @property
    def acknowledged(self) -> int:
        """Messages that all replicas have; the rest is under way or has failed."""
        # The queue's length counts events about brokers too, so this may lag, never lead.
        waiting = len(self._producer)
        return max(0, self.events_sent + self.rejections_sent - waiting - self._failed)

    def send(self, kind: EventKind, events: pa.Table) -> None:
        """Queue events (columns of ``arrow_schema(kind)``), in their order.

        Raises:
            GuardianError: messages sent before were given up.
        """
        for start in range(0, len(events), BATCH_MESSAGES):
            part = events.slice(start, BATCH_MESSAGES)
            values = encode(kind, self._schema_ids[kind.name], part).to_pylist()
            keys = part["session_id"].to_pylist()
            messages = [
                {"key": key, "value": value} for key, value in zip(keys, values, strict=True)
            ]
            self._make_room()
            queued = self._producer.produce_batch(kind.topic, messages)
            self.events_sent += queued
            if queued != len(messages):
                reason = next(str(m["_error"]) for m in messages if "_error" in m)
                raise GuardianError(f"{len(messages) - queued} events do not fit the log: {reason}")

    def send_bytes(self, topic: str, values: Iterable[bytes | None]) -> None:
        """Queue bytes as they are, with no key: what others may put on a topic, and no event.

        Raises:
            GuardianError: messages sent before were given up.
        """
        for value in values:
            self._make_room()
            self._producer.produce(topic, value)

    def reject(
        self,
        kind: EventKind,
        rejections: Iterable[Mapping[str, Any]],
        source: str,
        place: str,
        received_at: datetime,
    ) -> None:
        """Queue dead letters of a file.

        Args:
            kind: what the lines should have been.
            rejections: ``row``, ``line_number``, ``reason``, ``detail``, ``raw``, ``raw_bytes``.
            source: the file's name as a source.
            place: the file's name for a person.
            received_at: when the file was read.

        Raises:
            GuardianError: messages sent before were given up.
        """
        stamp = int(received_at.timestamp() * 1000)
        for rejection in rejections:
            self._make_room()
            self._producer.produce(
                DEAD_LETTER_TOPIC,
                str(rejection["raw"]).encode(),
                headers=dead_letter_headers(kind, rejection, source, place),
                timestamp=stamp,
            )
            self.rejections_sent += 1

    def flush(self) -> None:
        """Wait until all that was sent is acknowledged.

        Raises:
            GuardianError: some of it was given up after the delivery timeout.
        """
        deadline = time.monotonic() + self._patience + 5
        while left := len(self._producer):
            if time.monotonic() >= deadline:
                self._failed += left
                break
            self._producer.poll(0.1)
        self._check()

    def _make_room(self) -> None:
        while len(self._producer) > QUEUE_MESSAGES - BATCH_MESSAGES:
            self._producer.poll(0.02)
        self._producer.poll(0)
        self._check()

    def _check(self) -> None:
        if self._failed:
            raise GuardianError(
                f"{self._failed} messages were not acknowledged by {self._servers} "
                f"({self._reason or 'no answer'}); look at `guardian stack status`, "
                "then produce the file again: a repeated event counts once."
            )

    def _on_failure(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed += 1
            self._reason = error.str()
