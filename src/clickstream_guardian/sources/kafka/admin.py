"""The administrator's view of a Kafka cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.sources.kafka.client import client_settings

_PATIENCE_SECONDS = 10.0
"""How long leaders may change before it counts as a failure."""


def admin_client(servers: str) -> AdminClient:
    """A client for administration; it connects when it is first used."""
    patient = {"socket.timeout.ms": 10_000, "log_level": 0}  # topics take long to be made
    return AdminClient(client_settings(servers) | patient)


def brokers_online(servers: str, expected: int, seconds: float = 3.0) -> None:
    """Check that so many brokers have joined.

    Raises:
        GuardianError: they have not, or none answers.
    """
    try:
        found = len(admin_client(servers).list_topics(timeout=seconds).brokers)
    except KafkaException as error:
        raise GuardianError(
            f"No Kafka broker answers at {servers}: {error.args[0].str()}"
        ) from error
    if found < expected:
        raise GuardianError(f"{found} of {expected} Kafka brokers are online at {servers}")


@dataclass(frozen=True)
class OffsetSpan:
    """The messages of a partition that the log holds: from ``begin`` to before ``end``."""

    partition: int
    begin: int
    end: int


def offset_spans(servers: str, topic: str) -> list[OffsetSpan]:
    """What the log holds of a topic, partition by partition.

    Raises:
        GuardianError: Kafka does not answer, or there is no such topic.
    """
    admin = admin_client(servers)
    try:
        found = admin.list_topics(topic, timeout=10).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        partitions = [TopicPartition(topic, number) for number in found.partitions]
        begin = _offsets(admin, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        end = _offsets(admin, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    except KafkaException as error:
        raise GuardianError(
            f"The offsets of {topic} cannot be read from {servers}: {error.args[0].str()}"
        ) from error
    return [OffsetSpan(number, begin[number], end[number]) for number in sorted(begin)]


def _offsets(
    admin: AdminClient, partitions: list[TopicPartition], spec: OffsetSpec
) -> dict[int, int]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        asked = admin.list_offsets(dict.fromkeys(partitions, spec), request_timeout=10)
        try:
            return {place.partition: future.result().offset for place, future in asked.items()}
        except KafkaException as error:
            # Right after a change of leaders the client does not ask again by itself.
            if not error.args[0].retriable() or time.monotonic() > until:
                raise
            time.sleep(0.2)
