"""Messages encoded a column at a time are what an Avro reader reads, field by field."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream_guardian.events.fields import EVENT_KINDS, EventKind, Field, FieldType
from clickstream_guardian.events.schemas import arrow_schema, avro_schema
from clickstream_guardian.sources.kafka.avro import HEADER_BYTES, encode

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.ID16: st.binary(min_size=16, max_size=16),
    FieldType.STRING: st.text(st.characters(codec="utf-8"), max_size=200),
    FieldType.INSTANT: st.integers(-(10**15), 4 * 10**16).map(
        lambda micros: EPOCH + timedelta(microseconds=micros)
    ),
    FieldType.MONEY: st.decimals(0, Decimal("9999999999.99"), places=2),
    FieldType.INTEGER: st.integers(0, 2**31 - 1),
    FieldType.LONG: st.integers(-(2**63), 2**63 - 1),
}


def value_of(field: Field) -> st.SearchStrategy[Any]:
    value = VALUES[field.type]
    return st.none() | value if field.optional else value


def row_of(kind: EventKind) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({field.name: value_of(field) for field in kind.fields})


def decode(kind: EventKind, message: bytes) -> dict[str, Any]:
    body = io.BytesIO(message[HEADER_BYTES:])
    row = fastavro.schemaless_reader(body, fastavro.parse_schema(avro_schema(kind)), None)
    assert body.read() == b""
    return row


@pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: kind.name)
@given(data=st.data())
def test_a_reader_gets_back_every_field(kind: EventKind, data: st.DataObject) -> None:
    rows = data.draw(st.lists(row_of(kind), max_size=8))
    events = pa.Table.from_pylist(rows, schema=arrow_schema(kind))
    messages = encode(kind, 70_000, events).to_pylist()
    assert [decode(kind, message) for message in messages] == rows
    assert all(message[:HEADER_BYTES] == b"\0\0\1\x11\x70" for message in messages)


def test_slices_and_chunks_are_encoded_alike() -> None:
    kind = EVENT_KINDS[0]
    row = {
        "event_id": bytes(range(16)),
        "session_id": "s",
        "occurred_at": datetime(2014, 4, 7, tzinfo=UTC),
        "item_id": "i",
    }
    rows = [row | {"category": str(n) if n % 2 else None} for n in range(6)]
    whole = pa.Table.from_pylist(rows, schema=arrow_schema(kind))
    cut = pa.concat_tables([whole.slice(0, 2), whole.slice(2, 4)]).slice(1, 4)
    assert encode(kind, 1, cut).to_pylist() == encode(kind, 1, whole).to_pylist()[1:5]
