"""Schemas change under way: the compatible flows through, the incompatible is refused."""

from __future__ import annotations

import copy
import io
from datetime import UTC, datetime

import fastavro
import polars as pl
import pytest
from confluent_kafka import Producer
from pyiceberg.types import StringType

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.events.rejections import Reason, reject
from clickstream_guardian.events.schemas import avro_schema
from clickstream_guardian.sources.kafka.checks import check_registered
from clickstream_guardian.sources.kafka.decode import Arrived, MessageDecoder
from tests.cluster.world import World, made_clicks

SUBJECT = "clicks.v1-value"


def send_with(
    world: World, schema: dict[str, object], schema_id: int, extra: dict[str, str]
) -> None:
    producer = Producer({"bootstrap.servers": world.settings.kafka_servers})
    parsed = fastavro.parse_schema(copy.deepcopy(schema))
    for row in made_clicks(20, seed=schema_id).to_pylist():
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed, row | extra)
        message = b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()
        producer.produce(CLICK.topic, message, row["session_id"])
    assert producer.flush(30) == 0


def test_a_new_optional_field_flows_through_without_a_restart(world: World) -> None:
    second = copy.deepcopy(avro_schema(CLICK))
    second["fields"].append({"name": "campaign", "type": ["null", "string"], "default": None})
    registered = world.registry.register(SUBJECT, second)
    before = world.wait_landed()[CLICK.topic]
    connect = world.pid("connect")

    send_with(world, second, registered.schema_id, {"campaign": "spring"})
    after = world.wait_landed()[CLICK.topic]
    assert after.landed - before.landed == 20
    assert after.rejected == before.rejected

    with world.lake.iceberg_table("clicks").update_schema() as update:
        update.add_column("campaign", StringType())
    send_with(world, second, registered.schema_id, {"campaign": "summer"})
    world.wait_landed()
    scan = world.lake.iceberg_table("clicks").scan(selected_fields=("campaign",)).to_arrow()
    assert pl.DataFrame(pl.from_arrow(scan))["campaign"].value_counts().filter(
        pl.col("campaign") == "summer"
    )["count"].to_list() == [20]
    assert world.pid("connect") == connect


def test_an_incompatible_schema_is_refused(world: World) -> None:
    broken = copy.deepcopy(avro_schema(CLICK))
    broken["fields"].append({"name": "weight", "type": "double"})
    with pytest.raises(GuardianError, match="refuses POST"):
        world.registry.register(SUBJECT, broken)
    assert check_registered(world.settings.registry_url) == []


def test_what_is_no_event_is_rejected_with_its_reason(world: World) -> None:
    before = world.wait_landed()[CLICK.topic]
    producer = Producer({"bootstrap.servers": world.settings.kafka_servers})
    known = world.registry.register(SUBJECT, avro_schema(CLICK)).schema_id
    ancient = made_clicks(1, seed=1).to_pylist()[0]
    ancient["occurred_at"] = ancient["occurred_at"].replace(year=1999)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(avro_schema(CLICK)), ancient)
    framed = b"\0" + known.to_bytes(4, "big")
    messages = (
        b"garbage\xff",
        b"\0\0\x0f\x42\x3fabc",
        framed + b"\1",
        framed + body.getvalue(),
        None,
    )
    for message in messages:
        producer.produce(CLICK.topic, message, "x")
    assert producer.flush(30) == 0
    after = world.wait_landed()[CLICK.topic]
    assert after.rejected - before.rejected == 5
    rows = world.lake.iceberg_table("rejected").scan().to_arrow().to_pylist()
    found = sorted((row["raw"], row["reason"]) for row in rows if row["source"] == CLICK.topic)
    arrived = [Arrived(message, datetime.now(UTC)) for message in messages]
    in_python = MessageDecoder(CLICK, world.registry.by_id).decode(arrived).rejected
    assert len(in_python) == 5
    assert [reason for _, reason in found] == [
        reason
        for _, reason in sorted((shown(messages[i]), reason.value) for i, reason in in_python)
    ]
    assert [raw for raw, _ in found] == sorted(shown(message) for message in messages)


def shown(message: bytes | None) -> str:
    return reject(0, 1, Reason.BAD_AVRO, message or b"").raw
