"""The schemas derived from the field tables: Arrow for memory and Parquet, Avro for the log.

``schemas/*.avsc`` in the repository are written from here and checked fresh by a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from clickstream_guardian.events.fields import (
    CLICK,
    EVENT_KINDS,
    INGESTION_FIELDS,
    PARTITION_FIELDS,
    PURCHASE,
    REJECTION_FIELDS,
    EventKind,
    Field,
    FieldType,
)

NAMESPACE = "clickstream.guardian"

_ARROW: dict[FieldType, pa.DataType] = {
    FieldType.ID16: pa.binary(16),
    FieldType.STRING: pa.string(),
    FieldType.INSTANT: pa.timestamp("us", "UTC"),
    FieldType.MONEY: pa.decimal128(12, 2),
    FieldType.INTEGER: pa.int32(),
    FieldType.LONG: pa.int64(),
}

_AVRO: dict[FieldType, Any] = {
    FieldType.ID16: {"type": "fixed", "name": "EventId", "size": 16},
    FieldType.STRING: "string",
    FieldType.INSTANT: {"type": "long", "logicalType": "timestamp-micros"},
    FieldType.MONEY: {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
    FieldType.INTEGER: "int",
    FieldType.LONG: "long",
}

ANOMALY_FIELDS: tuple[Field, ...] = (
    Field("anomaly_id", FieldType.STRING, "Hash of rule, version, key and window start; 32 hex."),
    Field("rule", FieldType.STRING, "Name of the rule that fired."),
    Field("rule_version", FieldType.INTEGER, "Version of that rule."),
    Field("severity", FieldType.STRING, "low, medium, high or critical."),
    Field("session_id", FieldType.STRING, "The session judged."),
    Field("window_start", FieldType.INSTANT, "Start of the window, inclusive."),
    Field("window_end", FieldType.INSTANT, "End of the window, exclusive."),
    Field("status", FieldType.STRING, "open, final or withdrawn."),
    Field("first_crossed_at", FieldType.INSTANT, "Time of the event at which the rule held."),
    Field("crossed_event_id", FieldType.STRING, "That event's id, 32 hex."),
    Field("event_count", FieldType.LONG, "Events of the session in the window."),
    Field("measures", FieldType.STRING, "Measured values as a JSON object."),
    Field("explanation", FieldType.STRING, "The reason in words."),
)
"""An anomaly as it travels on the log; the evidence sample stays in the database."""


def arrow_fields(fields: Iterable[Field]) -> list[pa.Field]:
    """Arrow fields of a field table; all nullable, because Parquet files from engines are."""
    return [pa.field(field.name, _ARROW[field.type]) for field in fields]


def arrow_schema(kind: EventKind) -> pa.Schema:
    """The event alone, as Arrow."""
    return pa.schema(arrow_fields(kind.fields))


def raw_fields(kind: EventKind) -> tuple[Field, ...]:
    """The columns of a raw table: event, ingestion, partition."""
    return (*kind.fields, *INGESTION_FIELDS, *PARTITION_FIELDS)


def raw_arrow_schema(kind: EventKind) -> pa.Schema:
    """A raw row of the lake, as Arrow."""
    return pa.schema(arrow_fields(raw_fields(kind)))


def rejected_arrow_schema() -> pa.Schema:
    """A rejected row of the lake, as Arrow; ``dt`` and ``hour`` are those of ``received_at``."""
    return pa.schema(arrow_fields((*REJECTION_FIELDS, *PARTITION_FIELDS)))


def _avro_field(field: Field) -> dict[str, Any]:
    avro_type = _AVRO[field.type]
    if not field.optional:
        return {"name": field.name, "type": avro_type, "doc": field.meaning}
    return {"name": field.name, "type": ["null", avro_type], "default": None, "doc": field.meaning}


def _avro_record(name: str, doc: str, fields: Iterable[Field]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "namespace": NAMESPACE,
        "doc": doc,
        "fields": [_avro_field(field) for field in fields],
    }


def avro_schema(kind: EventKind) -> dict[str, Any]:
    """The Avro record of an event kind (``ClickEvent``, ``PurchaseEvent``)."""
    return _avro_record(
        f"{kind.name.capitalize()}Event", f"A {kind.name} in the shop.", kind.fields
    )


def avro_files() -> dict[str, dict[str, Any]]:
    """File name to Avro schema, for ``schemas/`` and the schema registry."""
    files = {f"{kind.name}-event.avsc": avro_schema(kind) for kind in EVENT_KINDS}
    files["anomaly-event.avsc"] = _avro_record(
        "AnomalyEvent", "A session that a rule found abusive in one window.", ANOMALY_FIELDS
    )
    return files


__all__ = [
    "ANOMALY_FIELDS",
    "CLICK",
    "PURCHASE",
    "arrow_fields",
    "arrow_schema",
    "avro_files",
    "avro_schema",
    "raw_arrow_schema",
    "raw_fields",
    "rejected_arrow_schema",
]
