"""Messages become events or rejections, by the schema they were written with."""

from __future__ import annotations

import copy
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.events.rejections import Reason
from clickstream_guardian.events.schemas import arrow_schema, avro_schema
from clickstream_guardian.sources.kafka.avro import encode
from clickstream_guardian.sources.kafka.decode import Arrived, DecodedMessages, MessageDecoder
from clickstream_guardian.sources.kafka.unknown import UnknownSchemaError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROW = {
    "event_id": bytes(range(16)),
    "session_id": "s",
    "occurred_at": datetime(2014, 4, 7, 10, 51, 9, 277_001, tzinfo=UTC),
    "item_id": "i",
}
SECOND = copy.deepcopy(avro_schema(CLICK))
SECOND["fields"].append({"name": "campaign", "type": ["null", "string"], "default": None})
SCHEMAS = {1: avro_schema(CLICK), 2: SECOND, 3: {"type": "string"}}


def schema_by_id(schema_id: int) -> dict[str, Any]:
    if schema_id not in SCHEMAS:
        raise UnknownSchemaError(f"no {schema_id}")
    return SCHEMAS[schema_id]


def message(**changes: Any) -> bytes:
    events = pa.Table.from_pylist([ROW | changes], schema=arrow_schema(CLICK))
    return encode(CLICK, 1, events)[0].as_py()


def decode(*values: bytes | None) -> DecodedMessages:
    decoder = MessageDecoder(CLICK, schema_by_id)
    return decoder.decode(Arrived(value, NOW) for value in values)


def test_what_was_encoded_is_decoded() -> None:
    found = decode(message(category="5"))
    assert found.events.to_pylist() == [
        dict.fromkeys(found.events.column_names) | ROW | {"category": "5"}
    ]
    assert found.rejected == ()


def test_a_newer_writer_is_read_by_its_own_schema() -> None:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(SECOND), ROW | {"campaign": "spring"})
    found = decode(b"\0\0\0\0\2" + body.getvalue())
    assert found.events.select(list(ROW)).to_pylist() == [ROW]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.BAD_AVRO),
        (b"", Reason.BAD_AVRO),
        (b"garbage", Reason.BAD_AVRO),
        (b"\0\0\0\0\1\1", Reason.BAD_AVRO),
        (message() + b"x", Reason.BAD_AVRO),
        (b"\0\0\0\0\3\2a", Reason.BAD_AVRO),
        (b"\0\0\0\0\x63abc", Reason.UNKNOWN_SCHEMA),
        (message(session_id=""), Reason.EMPTY_SESSION),
        (message(item_id=""), Reason.EMPTY_ITEM),
        (message(occurred_at=datetime(1999, 12, 31, tzinfo=UTC)), Reason.TIME_OUT_OF_RANGE),
        (message(occurred_at=NOW + timedelta(seconds=61)), Reason.TIME_OUT_OF_RANGE),
    ],
)
def test_what_is_no_event_is_rejected_with_its_reason(value: bytes, reason: Reason) -> None:
    found = decode(message(), value, message())
    assert found.rejected == ((1, reason),)
    assert found.places == (0, 2)


def test_the_edges_of_the_range_are_inside() -> None:
    edges = (datetime(2000, 1, 1, tzinfo=UTC), NOW + timedelta(seconds=60))
    assert decode(*(message(occurred_at=at) for at in edges)).rejected == ()


def test_an_absent_registry_rejects_nothing() -> None:
    def away(_: int) -> dict[str, Any]:
        raise GuardianError("away")

    with pytest.raises(GuardianError, match="away"):
        MessageDecoder(CLICK, away).decode([Arrived(message(), NOW)])


@given(st.binary(max_size=60), st.sampled_from([b"", b"\0\0\0\0\1", b"\0\0\0\0\2"]))
def test_any_bytes_are_an_event_or_a_rejection(junk: bytes, start: bytes) -> None:
    found = decode(start + junk)
    assert len(found.places) + len(found.rejected) == 1
