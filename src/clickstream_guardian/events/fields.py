"""The field table of each event kind: the one definition that every schema is derived from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FieldType(StrEnum):
    """The types an event field can have."""

    ID16 = "id16"  # 16 bytes, shown as 32 hex digits
    STRING = "string"
    INSTANT = "instant"  # aware UTC, microseconds
    MONEY = "money"  # decimal(12, 2)
    INTEGER = "integer"  # 32 bits
    LONG = "long"  # 64 bits


@dataclass(frozen=True)
class Field:
    """One field: its name, type, whether it may be missing, and what it means."""

    name: str
    type: FieldType
    meaning: str
    optional: bool = False


@dataclass(frozen=True)
class EventKind:
    """A kind of event: its word, the table and topic that hold it, and its fields."""

    name: str
    table: str
    topic: str
    fields: tuple[Field, ...]

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return tuple(field.name for field in self.fields)


_IDENTITY = (
    Field("event_id", FieldType.ID16, "Stable identity of the event; a repeat has the same."),
    Field("session_id", FieldType.STRING, "The visit the event belongs to; an arbitrary string."),
    Field("occurred_at", FieldType.INSTANT, "When it happened, by the shop's clock (event time)."),
    Field("item_id", FieldType.STRING, "The item looked at or bought; an arbitrary string."),
)
_CLIENT = (
    Field("user_id", FieldType.STRING, "The signed-in user.", optional=True),
    Field("ip", FieldType.STRING, "The client's address.", optional=True),
    Field("user_agent", FieldType.STRING, "The client's own description.", optional=True),
    Field("referrer", FieldType.STRING, "The page that led here.", optional=True),
    Field("url", FieldType.STRING, "The page itself.", optional=True),
)

CLICK = EventKind(
    "click",
    "clicks",
    "clicks.v1",
    (
        *_IDENTITY,
        Field(
            "category",
            FieldType.STRING,
            "The context of the click; missing if unknown.",
            optional=True,
        ),
        *_CLIENT,
    ),
)
PURCHASE = EventKind(
    "purchase",
    "purchases",
    "purchases.v1",
    (
        *_IDENTITY,
        Field(
            "price",
            FieldType.MONEY,
            "Price of one piece; missing if unknown, never free.",
            optional=True,
        ),
        Field("quantity", FieldType.INTEGER, "Pieces bought; missing if unknown.", optional=True),
        *_CLIENT,
    ),
)
EVENT_KINDS: tuple[EventKind, ...] = (CLICK, PURCHASE)
KIND_OF_NAME: Mapping[str, EventKind] = {kind.name: kind for kind in EVENT_KINDS}
KIND_OF_TOPIC: Mapping[str, EventKind] = {kind.topic: kind for kind in EVENT_KINDS}

INGESTION_FIELDS: tuple[Field, ...] = (
    Field("source", FieldType.STRING, "The file (by the hash of its bytes) or topic it came from."),
    Field("partition", FieldType.INTEGER, "Partition of the source; 0 for a file."),
    Field("offset", FieldType.LONG, "Position of arrival within the partition, from 0."),
    Field("received_at", FieldType.INSTANT, "When it was put on the log or read from the file."),
)
"""What a raw row carries beside the event."""

PARTITION_FIELDS: tuple[Field, ...] = (
    Field("dt", FieldType.STRING, "UTC day of occurred_at, YYYY-MM-DD."),
    Field("hour", FieldType.STRING, "UTC hour of occurred_at, HH."),
)
"""Where a raw row lies in the lake."""

REJECTION_FIELDS: tuple[Field, ...] = (
    *INGESTION_FIELDS,
    Field("kind", FieldType.STRING, "The kind of event that was expected."),
    Field("place", FieldType.STRING, "File name or topic, for a person."),
    Field("line_number", FieldType.LONG, "Line of the file, from 1.", optional=True),
    Field("reason", FieldType.STRING, "Reason code, one of events.rejections.Reason."),
    Field("detail", FieldType.STRING, "One sentence with the value."),
    Field(
        "raw", FieldType.STRING, "The bytes as they came, cut, backslash-escaped where not UTF-8."
    ),
    Field("raw_bytes", FieldType.LONG, "How many bytes there were before the cut."),
)
"""A rejected line or message, kept with its bytes."""
