"""Messages of the log become events or rejections; the writer's schema is found by its id.

This is the definition, one message after the other; ``columns`` does the same for many at once.
The same checks, with the same reason codes, as the landing path's ``RawRow`` in Java; a test
against the running stack holds the two equal.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fastavro
import pyarrow as pa

from clickstream_guardian.events.decode import EARLIEST, FUTURE_TOLERANCE
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.events.rejections import Reason
from clickstream_guardian.events.schemas import arrow_schema, avro_schema
from clickstream_guardian.sources.kafka.avro import HEADER_BYTES, MAGIC
from clickstream_guardian.sources.kafka.unknown import UnknownSchemaError

_PRICE_LIMIT = 10**10  # decimal(12, 2)


@dataclass(frozen=True)
class Arrived:
    """A message as it came: its bytes (None: a tombstone) and when the log received it."""

    value: bytes | None
    received_at: datetime


@dataclass(frozen=True)
class DecodedMessages:
    """What messages held.

    Attributes:
        events: columns of ``arrow_schema(kind)``.
        places: of each event, the index of its message.
        rejected: index and reason of each message that is no event.
    """

    events: pa.Table
    places: tuple[int, ...]
    rejected: tuple[tuple[int, Reason], ...]


class MessageDecoder:
    """Decodes messages of one kind of event.

    Args:
        kind: click or purchase; its schema of today is the reader's.
        schema_by_id: finds a writer's schema, such as ``SchemaRegistry.by_id``. It raises
            ``UnknownSchemaError`` for an id that there is not; that rejects the message. Any
            other error travels on: a registry that is away is no reason to reject.
    """

    def __init__(self, kind: EventKind, schema_by_id: Callable[[int], dict[str, Any]]) -> None:
        self._kind = kind
        self._schema_by_id = schema_by_id
        self._reader = fastavro.parse_schema(avro_schema(kind))
        self._writers: dict[int, Any] = {}

    def decode(self, messages: Iterable[Arrived]) -> DecodedMessages:
        """Decode messages, in their order.

        Raises:
            GuardianError: the registry is away and a new schema id has come.
        """
        rows: list[dict[str, Any]] = []
        places: list[int] = []
        rejected: list[tuple[int, Reason]] = []
        for index, message in enumerate(messages):
            row = self._row(message.value)
            reason = row if isinstance(row, Reason) else _oddity(row, message.received_at)
            if reason is not None:
                rejected.append((index, reason))
            elif not isinstance(row, Reason):
                rows.append(row)
                places.append(index)
        events = pa.Table.from_pylist(rows, schema=arrow_schema(self._kind))
        return DecodedMessages(events, tuple(places), tuple(rejected))

    def _row(self, message: bytes | None) -> dict[str, Any] | Reason:
        if message is None or len(message) < HEADER_BYTES or not message.startswith(MAGIC):
            return Reason.BAD_AVRO
        try:
            writer = self._writer(int.from_bytes(message[1:HEADER_BYTES], "big"))
        except UnknownSchemaError:
            return Reason.UNKNOWN_SCHEMA
        body = io.BytesIO(message[HEADER_BYTES:])
        try:
            row = fastavro.schemaless_reader(body, writer, self._reader)
        except Exception:  # fastavro lets many kinds of error out on arbitrary bytes
            return Reason.BAD_AVRO
        return Reason.BAD_AVRO if body.read(1) or not isinstance(row, dict) else row

    def _writer(self, schema_id: int) -> Any:
        if schema_id not in self._writers:
            schema = self._schema_by_id(schema_id)
            self._writers[schema_id] = fastavro.parse_schema(schema)
        return self._writers[schema_id]


def _oddity(row: dict[str, Any], received_at: datetime) -> Reason | None:
    """Why a record is no event, if so."""
    if not row["session_id"]:
        return Reason.EMPTY_SESSION
    if not row["item_id"]:
        return Reason.EMPTY_ITEM
    at = row["occurred_at"]
    if not isinstance(at, datetime):  # beyond what a datetime can hold
        return Reason.TIME_OUT_OF_RANGE
    if not EARLIEST <= at.astimezone(UTC) <= received_at + FUTURE_TOLERANCE:
        return Reason.TIME_OUT_OF_RANGE
    return _unholdable(row)


def _unholdable(row: dict[str, Any]) -> Reason | None:
    """Why a number is legal in Avro, and too large for the field's own type."""
    if not -(1 << 31) <= (row.get("quantity") or 0) < 1 << 31:
        return Reason.BAD_QUANTITY
    if abs(row.get("price") or 0) >= _PRICE_LIMIT:
        return Reason.BAD_PRICE
    return None
