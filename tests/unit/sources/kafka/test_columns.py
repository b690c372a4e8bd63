"""Decoding by columns is decoding by fastavro: every event, every reason, on any bytes."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.events.identity import ids_from_arrow
from clickstream_guardian.events.rejections import Reason
from clickstream_guardian.events.schemas import arrow_schema, avro_schema
from clickstream_guardian.sources.kafka.avro import encode
from clickstream_guardian.sources.kafka.columns import ColumnDecoder, DecodedColumns, Messages
from clickstream_guardian.sources.kafka.decode import Arrived, MessageDecoder
from clickstream_guardian.sources.kafka.plan import plan_for
from clickstream_guardian.sources.kafka.unknown import UnknownSchemaError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def changed(kind: EventKind, **types: Any) -> dict[str, Any]:
    """Today's schema with other types, further fields at the end, or (None) fewer fields."""
    schema = copy.deepcopy(avro_schema(kind))
    known = {field["name"]: field for field in schema["fields"]}
    for name, kind_of in types.items():
        if name not in known:
            schema["fields"].append({"name": name, "type": kind_of})
        elif kind_of is None:
            schema["fields"].remove(known[name])
        else:
            known[name]["type"] = kind_of
            known[name].pop("default", None)
    return schema


WRITERS: dict[int, Any] = {
    1: avro_schema(CLICK),
    2: changed(CLICK, campaign=["null", "string"], visits="long"),
    3: changed(CLICK, category=None, url=None),
    4: changed(CLICK, ip="string"),
    5: changed(CLICK, weight="double"),
    6: changed(CLICK, item_id=None),
    7: {"type": "string"},
    8: avro_schema(PURCHASE),
    9: changed(CLICK, session_id={"type": "string", "avro.java.string": "String"}),
    10: changed(CLICK, occurred_at={"type": "long", "logicalType": "timestamp-millis"}),
}


def schema_by_id(schema_id: int) -> Any:
    if schema_id not in WRITERS:
        raise UnknownSchemaError(f"no {schema_id}")
    return WRITERS[schema_id]


WIDE = changed(
    PURCHASE,
    price=["null", avro_schema(PURCHASE)["fields"][4]["type"][1] | {"precision": 20}],
    quantity=["null", "long"],
)
"""Writes what today's schema reads, and numbers that are too large for it."""
ENCODERS = {n: fastavro.parse_schema(schema) for n, schema in (WRITERS | {8: WIDE}).items()}


def framed(schema_id: int, row: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, ENCODERS[schema_id], row)
    return b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()


def by_columns(values: list[bytes | None], kind: EventKind = CLICK) -> DecodedColumns:
    messages = Messages.of(values, range(100, 100 + len(values)), [NOW_MS] * len(values))
    return ColumnDecoder(kind, schema_by_id).decode(messages)


def assert_equal(values: list[bytes | None], kind: EventKind = CLICK) -> None:
    found = by_columns(values, kind)
    slow = MessageDecoder(kind, schema_by_id).decode(Arrived(value, NOW) for value in values)
    assert found.rejected == slow.rejected
    assert tuple(found.places.tolist()) == slow.places
    frame = pl.DataFrame(pl.from_arrow(slow.events.drop_columns("event_id")))
    for name in ("session_id", "occurred_at", "item_id"):
        assert found.events[name].to_list() == frame[name].to_list()
    ids = ids_from_arrow(slow.events["event_id"].combine_chunks())
    assert found.events["event_id"].to_list() == ids.to_list()
    assert found.events["offset"].to_list() == [100 + place for place in slow.places]


texts = st.text(max_size=20) | st.just("x" * 200)
optional = st.none() | texts
DAYS = timedelta(days=366)
instants = st.timedeltas(-26 * DAYS, timedelta(minutes=2)).map(lambda back: NOW + back)
identity = st.fixed_dictionaries(
    {
        "event_id": st.binary(min_size=16, max_size=16),
        "session_id": texts,
        "occurred_at": instants,
        "item_id": texts,
    }
)
clicks = st.tuples(
    st.sampled_from([1, 1, 2, 3, 4, 5, 6, 9, 10]),
    identity,
    st.fixed_dictionaries(dict.fromkeys(("category", "user_agent", "url", "campaign"), optional)),
).map(lambda t: framed(t[0], t[1] | t[2] | {"ip": "::1", "visits": 3, "weight": 0.5}))
purchases = st.tuples(
    identity,
    st.none()
    | st.sampled_from([0, 1, -1, 2**31, 10**12 - 1, 10**12, -(10**12), 2**47, 10**15]).map(
        lambda n: Decimal(n) / 100
    ),
    st.none() | st.integers(-(2**31) - 2, 2**31 + 2),
).map(lambda t: framed(8, t[0] | {"price": t[1], "quantity": t[2]}))


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """A message with one byte changed, cut off, or with bytes behind it."""
    message = bytearray(draw(whole))
    place = draw(st.integers(0, len(message) - 1))
    match draw(st.sampled_from(["change", "cut", "add"])):
        case "change":
            message[place] = draw(st.integers(0, 255))
        case "cut":
            del message[place:]
        case _:
            message += draw(st.binary(max_size=3))
    return bytes(message)


junk = st.none() | st.tuples(
    st.sampled_from([b"", *(b"\0" + n.to_bytes(4, "big") for n in (1, 2, 5, 7, 8, 99))]),
    st.binary(max_size=60),
).map(b"".join)


@given(st.lists(clicks | damaged(clicks) | junk, max_size=12))
@settings(max_examples=150, deadline=None)
def test_clicks_are_read_as_fastavro_reads_them(values: list[bytes | None]) -> None:
    assert_equal(values)


@given(st.lists(purchases | damaged(purchases) | junk, max_size=12))
@settings(max_examples=150, deadline=None)
def test_purchases_are_read_as_fastavro_reads_them(values: list[bytes | None]) -> None:
    assert_equal(values, PURCHASE)


def row(**changes: Any) -> dict[str, Any]:
    base = {"event_id": bytes(16), "session_id": "s", "item_id": "i"}
    return base | {"occurred_at": NOW - timedelta(days=1)} | changes


def test_odd_messages_between_good_ones() -> None:
    values = [
        framed(1, row()),
        framed(1, row(session_id="")),
        framed(1, row(session_id="", item_id="")),
        framed(1, row(occurred_at=EPOCH)),
        framed(1, row(occurred_at=NOW + timedelta(seconds=60))),
        framed(1, row(occurred_at=NOW + timedelta(seconds=60, microseconds=1))),
        framed(1, row(session_id="日本", url="é" * 9)),
        framed(1, row(item_id="abc")).replace(b"abc", b"a\xffc"),
        framed(1, row(url="abc")).replace(b"abc", b"a\xed\xa0"),
        b"\0\0\0\0\1" + bytes(16) + b"\xff" * 12,
        b"\0\0\0\0\1" + bytes(16) + b"\1",
        b"\0\0\0\0\1" + bytes(16) + b"\2s" + b"\xfe" + b"\xff" * 8 + b"\1" + b"\2i" + bytes(6),
        None,
        framed(2, row(campaign="c", visits=2)),
    ]
    assert_equal(values)
    counts = by_columns(values).rejected_by_reason
    assert counts == {
        Reason.EMPTY_SESSION: 2,
        Reason.BAD_AVRO: 6,
        Reason.TIME_OUT_OF_RANGE: 2,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": 2**31}, Reason.BAD_QUANTITY),
        ({"quantity": 2**31 - 1}, None),
        ({"price": Decimal("9999999999.99")}, None),
    ],
)
def test_a_number_too_large_for_its_field_is_rejected(
    change: dict[str, Any], reason: Reason | None
) -> None:
    values: list[bytes | None] = [framed(8, row(**change))]
    assert_equal(values, PURCHASE)
    assert [found for _, found in by_columns(values, PURCHASE).rejected] == [reason] * bool(reason)


def test_a_price_of_thirteen_digits_is_rejected() -> None:
    values: list[bytes | None] = [framed(8, row(price=Decimal(10**10)))]
    assert_equal(values, PURCHASE)
    assert by_columns(values, PURCHASE).rejected == ((0, Reason.BAD_PRICE),)


def test_our_own_schemas_and_newer_ones_have_a_plan_and_conversions_have_none() -> None:
    needed = frozenset({"session_id"})
    planned = {n for n, schema in WRITERS.items() if plan_for(CLICK, schema, needed)}
    assert planned == {1, 2, 3, 9}
    assert plan_for(PURCHASE, WRITERS[8], needed)


def test_a_slice_of_an_arrow_array_is_read_from_where_it_begins() -> None:
    values = pa.array([b"x", framed(1, row()), framed(1, row(session_id="t"))], pa.binary())
    offsets = np.array([7, 8])
    found = ColumnDecoder(CLICK, schema_by_id).decode(
        Messages(values.slice(1), offsets, np.array([NOW_MS, NOW_MS]) * 1000)
    )
    assert found.events["session_id"].to_list() == ["s", "t"]
    assert found.events["offset"].to_list() == [7, 8]


def test_many_clicks_keep_their_order() -> None:
    rows = [row(session_id=f"s{n}", event_id=n.to_bytes(16, "big")) for n in range(5000)]
    values = encode(CLICK, 1, pa.Table.from_pylist(rows, schema=arrow_schema(CLICK))).to_pylist()
    values[2500] = framed(2, rows[2500] | {"visits": 1})
    values[2600] = framed(4, rows[2600] | {"ip": "x"})
    assert by_columns(values).events["event_id"].to_list() == list(range(5000))


def test_an_unknown_id_is_asked_for_once_a_call_and_an_absent_registry_rejects_nothing() -> None:
    asked: list[int] = []

    def away(schema_id: int) -> Any:
        asked.append(schema_id)
        if len(asked) == 1:
            raise GuardianError("away")
        raise UnknownSchemaError("no")

    decoder = ColumnDecoder(CLICK, away)
    messages = Messages.of([framed(1, row())] * 3, [0, 1, 2], [NOW_MS] * 3)
    with pytest.raises(GuardianError, match="away"):
        decoder.decode(messages)
    assert decoder.decode(messages).rejected_by_reason == {Reason.UNKNOWN_SCHEMA: 3}
    assert asked == [1, 1]


def test_decoding_needs_neither_a_kafka_client_nor_http() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import clickstream_guardian.sources.kafka.columns, sys\n"
         "print({'confluent_kafka', 'httpx'} & set(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "set()"
