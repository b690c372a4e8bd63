"""What a producer does when there is nobody to take its messages."""

from __future__ import annotations

import pyarrow as pa
import pytest

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.events.schemas import arrow_schema
from clickstream_guardian.sources.kafka.admin import brokers_online, offset_spans
from clickstream_guardian.sources.kafka.producer import EventProducer, producer_settings

NOBODY = "127.0.0.1:1"


def test_messages_that_nobody_takes_are_an_error_not_a_loss() -> None:
    producer = EventProducer(NOBODY, {"click": 1}, delivery_timeout_seconds=1)
    row = {"event_id": bytes(16), "session_id": "s", "occurred_at": 0, "item_id": "i"}
    producer.send(CLICK, pa.Table.from_pylist([row], schema=arrow_schema(CLICK)))
    assert producer.acknowledged == 0
    with pytest.raises(GuardianError, match="1 messages were not acknowledged"):
        producer.flush()


def test_nothing_sent_is_nothing_to_wait_for() -> None:
    with EventProducer(NOBODY, {"click": 1}, delivery_timeout_seconds=1) as producer:
        assert producer.acknowledged == 0


def test_nothing_is_lost_doubled_or_reordered_by_its_settings() -> None:
    settings = producer_settings(NOBODY, 120)
    assert settings["acks"] == "all"
    assert settings["enable.idempotence"] is True
    assert settings["partitioner"] == "murmur2_random"
    assert settings["compression.type"] == "lz4"
    assert settings["delivery.timeout.ms"] == 120_000


@pytest.mark.parametrize(
    "ask", [lambda: brokers_online(NOBODY, 1, 0.5), lambda: offset_spans(NOBODY, "t")]
)
def test_an_absent_kafka_is_one_sentence(ask) -> None:
    with pytest.raises(GuardianError, match=NOBODY):
        ask()
