"""Schemas change under way: the compatible flows through, the incompatible is refused."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer
from pyiceberg.expressions import NotNull

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.events.rejections import Reason, reject
from clickstream_guardian.events.schemas import avro_schema
from clickstream_guardian.sources.kafka.checks import check_registered
from clickstream_guardian.sources.kafka.decode import Arrived, MessageDecoder
from clickstream_guardian.sources.kafka.registry import SUBJECTS
from tests.cluster.world import World, guardian, made_clicks

SUBJECT = "clicks.v1-value"


NEW_FIELDS = {
    "campaign": "string",
    "clicks_before": "int",
    "budget": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
    "landed_on": ["string", "long"],
}


def send_with(
    world: World, schema: dict[str, object], schema_id: int, extra: list[dict[str, object]]
) -> None:
    producer = Producer({"bootstrap.servers": world.settings.kafka_servers})
    parsed = fastavro.parse_schema(copy.deepcopy(schema))
    rows = made_clicks(len(extra), seed=schema_id).to_pylist()
    for row, more in zip(rows, extra, strict=True):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed, row | more)
        message = b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()
        producer.produce(CLICK.topic, message, row["session_id"])
    assert producer.flush(30) == 0


def test_new_optional_fields_flow_through_without_a_restart(world: World) -> None:
    second = copy.deepcopy(avro_schema(CLICK))
    for name, kind in NEW_FIELDS.items():
        branches = ["null", *kind] if isinstance(kind, list) else ["null", kind]
        second["fields"].append({"name": name, "type": branches, "default": None})
    registered = world.registry.register(SUBJECT, second)
    before = world.wait_landed()[CLICK.topic]
    pids = {state.name: state.pid for state in world.supervisor.states()}

    budgets = [Decimal("0.05"), Decimal("9876543210.99"), None, Decimal("-12.50")]
    sent = [
        {"campaign": f"spring {n}", "clicks_before": n, "budget": budgets[n % 4], "landed_on": "x"}
        for n in range(20)
    ]
    send_with(world, second, registered.schema_id, sent)
    with world.producer() as older:
        older.send(CLICK, made_clicks(20, seed=3))
    after = world.wait_landed()[CLICK.topic]
    assert after.landed - before.landed == 40
    assert after.rejected == before.rejected
    assert {state.name: state.pid for state in world.supervisor.states()} == pids
    assert new_columns(world) == sorted(
        (row["campaign"], row["clicks_before"], row["budget"]) for row in sent
    )

    world.lake.compact("clicks", datetime.now(UTC), min_files=2)
    assert new_columns(world) == sorted(
        (row["campaign"], row["clicks_before"], row["budget"]) for row in sent
    )
    found = guardian(world, "sql", "SELECT sum(budget) AS b FROM clicks", "--format", "json")
    assert json.loads(found)["b"] == str(sum(row["budget"] or 0 for row in sent))


def new_columns(world: World) -> list[tuple[str, int, Decimal | None]]:
    """The new fields of the events that have them; one of several types is not landed."""
    table = world.lake.iceberg_table("clicks")
    assert "landed_on" not in table.schema().column_names
    rows = table.scan(
        row_filter=NotNull("campaign"), selected_fields=("campaign", "clicks_before", "budget")
    ).to_arrow()
    return sorted(tuple(row.values()) for row in rows.to_pylist())


def test_an_incompatible_schema_is_refused(world: World) -> None:
    broken = copy.deepcopy(avro_schema(CLICK))
    broken["fields"].append({"name": "weight", "type": "double"})
    with pytest.raises(GuardianError, match="refuses POST"):
        world.registry.register(SUBJECT, broken)
    assert check_registered(world.settings.registry_url) == []


def test_what_is_no_event_is_rejected_with_its_reason(world: World) -> None:
    send = {CLICK: bad_clicks(world), PURCHASE: bad_purchases(world)}
    for kind, messages in send.items():
        reasons = MessageDecoder(kind, world.registry.by_id).decode(
            [Arrived(message, datetime.now(UTC)) for message in messages]
        )
        assert len(reasons.rejected) == len(messages)
        expected = sorted((shown(messages[i]), reason.value) for i, reason in reasons.rejected)
        assert rejected_rows(world, kind, messages) == expected


def bad_clicks(world: World) -> list[bytes | None]:
    """Messages that are no clicks, each in its own way."""
    [click] = made_clicks(1, seed=1).to_pylist()
    ancient = click | {"occurred_at": click["occurred_at"].replace(year=1999)}
    mark = framed(world, CLICK, b"")
    text = framed(world, CLICK, written(CLICK, click | {"session_id": "visit"}))
    return [
        b"garbage\xff",
        b"\0\0\x0f\x42\x3fabc",
        mark + b"\1",
        framed(world, CLICK, written(CLICK, ancient)),
        text.replace(b"visit", b"vis\xff\xfe"),
        None,
    ]


def bad_purchases(world: World) -> list[bytes | None]:
    """A purchase at a price that the lake cannot hold, of either sign."""
    [click] = made_clicks(1, seed=2).to_pylist()
    wide = copy.deepcopy(avro_schema(PURCHASE))
    price = next(field for field in wide["fields"] if field["name"] == "price")
    price["type"][1]["precision"] = 30
    amounts = (Decimal("10000000000.00"), Decimal("-12345678901234567890.00"))
    return [
        framed(world, PURCHASE, written(PURCHASE, click | {"price": amount}, wide))
        for amount in amounts
    ]


def written(kind: EventKind, row: dict[str, Any], schema: dict[str, Any] | None = None) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema or avro_schema(kind)), row)
    return body.getvalue()


def framed(world: World, kind: EventKind, body: bytes) -> bytes:
    subject = SUBJECTS[f"{kind.name}-event.avsc"]
    known = world.registry.register(subject, avro_schema(kind)).schema_id
    return b"\0" + known.to_bytes(4, "big") + body


def rejected_rows(
    world: World, kind: EventKind, messages: Sequence[bytes | None]
) -> list[tuple[str, str]]:
    """Put messages on the log; what the lake says of each: its bytes and the reason."""
    before = world.wait_landed()[kind.topic]
    producer = Producer({"bootstrap.servers": world.settings.kafka_servers})
    places: set[tuple[int | None, int | None]] = set()
    for message in messages:
        producer.produce(
            kind.topic,
            message,
            "x",
            on_delivery=lambda _, sent: places.add((sent.partition(), sent.offset())),
        )
    assert producer.flush(30) == 0
    after = world.wait_landed()[kind.topic]
    assert after.rejected - before.rejected == len(messages)
    rows = world.lake.iceberg_table("rejected").scan().to_arrow().to_pylist()
    return sorted(
        (row["raw"], row["reason"])
        for row in rows
        if row["source"] == kind.topic and (row["partition"], row["offset"]) in places
    )


def shown(message: bytes | None) -> str:
    return reject(0, 1, Reason.BAD_AVRO, message or b"").raw
