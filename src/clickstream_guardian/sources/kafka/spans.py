"""Messages read again from the log, between two offsets of a partition."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.sources.kafka.client import client_settings

_AT_ONCE = 50_000
_PATIENCE_SECONDS = 30.0


def read_span(servers: str, topic: str, partition: int, begin: int, end: int) -> pa.Table:
    """The messages from ``begin`` to before ``end``.

    Returns:
        Columns ``offset``, ``received_us`` (microseconds) and ``value``, in order.

    Raises:
        GuardianError: Kafka does not answer, or no longer has the first of them.
    """
    consumer = Consumer(
        {
            **client_settings(servers),
            "group.id": f"guardian-reread-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
        }
    )
    place = TopicPartition(topic, partition, begin)
    try:
        consumer.assign([place])
        found = list(_until(consumer, place, end))
    except KafkaException as error:
        raise GuardianError(
            f"{topic}, partition {partition}: offsets from {begin} cannot be read again "
            f"({error.args[0].str()}); if the log no longer has them, detection must start anew."
        ) from error
    finally:
        consumer.close()
    return pa.table(
        {
            "offset": pa.array([m.offset() for m in found], pa.int64()),
            "received_us": pa.array([m.timestamp()[1] * 1000 for m in found], pa.int64()),
            "value": pa.array([m.value() for m in found], pa.binary()),
        }
    )


def _until(consumer: Consumer, place: TopicPartition, end: int) -> Iterator[Message]:
    while True:
        messages = consumer.consume(_AT_ONCE, timeout=1.0)
        if not messages and _stalled(consumer, place):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        for message in messages:
            problem = message.error()
            if problem is not None and problem.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(problem)
            if problem is None and (message.offset() or 0) < end:
                yield message
        if consumer.position([place])[0].offset >= end:
            return


def _stalled(consumer: Consumer, place: TopicPartition) -> bool:
    """Nothing came within a second: whether the broker is away too."""
    consumer.get_watermark_offsets(place, timeout=_PATIENCE_SECONDS)
    return False
