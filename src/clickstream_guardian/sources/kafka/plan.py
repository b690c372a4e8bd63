"""How a writer's schema is read a column at a time, or that it cannot be.

A plan covers flat records whose common fields have the reader's own types. Whatever else Avro
allows (aliases, promotions, nested records) has no plan and is left to the slow decoder, which is
the definition of what a message means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.events.identity import ids_from_octets
from clickstream_guardian.events.schemas import avro_schema
from clickstream_guardian.sources.kafka.walk import Longs, Mask, Walk

Read = Callable[[Walk], pl.Series | None]
"""Reads a field of every record; None where nobody needs the values."""

_INT32 = (-(1 << 31), (1 << 31) - 1)
_MONEY_LIMIT = 10**12  # decimal(12, 2) in hundredths
_PLAIN_MONEY_BYTES = (6, 4)  # as our own producers write it; shorter than any too large amount


@dataclass(frozen=True)
class Step:
    """One field of the writer: its name if it is needed, and how to read it."""

    name: str | None
    read: Read


Plan = tuple[Step, ...]


def plan_for(kind: EventKind, writer: Mapping[str, Any], needed: frozenset[str]) -> Plan | None:
    """How to read what ``writer`` wrote; None if that is for the slow decoder.

    Args:
        kind: whose schema of today is the reader's.
        writer: a schema of the registry.
        needed: the fields whose values are wanted; the others are checked and passed.
    """
    reader = avro_schema(kind)
    if not isinstance(writer, Mapping) or _name(writer) != _name(reader):
        return None
    wanted = {field["name"]: field for field in reader["fields"]}
    fields = {field["name"]: field for field in writer.get("fields", ())}
    if any(name not in fields and "default" not in field for name, field in wanted.items()):
        return None
    steps = []
    for name, field in fields.items():
        if name in wanted and not _same(wanted[name]["type"], field["type"]):
            return None
        read = _READERS.get(_word(field["type"])) or _optional(field["type"])
        if read is None:
            return None
        steps.append(Step(name if name in needed else None, read))
    return tuple(steps)


def _name(schema: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(schema.get(part) for part in ("type", "namespace", "name"))


def _same(reader: Any, writer: Any) -> bool:
    """Whether a field's values need no conversion."""
    if isinstance(reader, list) and isinstance(writer, list):
        return [_word(one) for one in reader] == [_word(one) for one in writer]
    return not isinstance(reader, list) and _word(reader) == _word(writer)


def _word(schema: Any) -> str:
    """A type as one word, with what matters to a reader: ``fixed:EventId:16``."""
    if not isinstance(schema, Mapping):
        return str(schema)
    parts = ("type", "namespace", "name", "size", "logicalType", "precision", "scale")
    return ":".join(str(schema[part]) for part in parts if part in schema)


def _optional(schema: Any) -> Read | None:
    """A union of null and one type that can be read."""
    if not isinstance(schema, list) or len(schema) != 2 or "null" not in schema:
        return None
    null = schema.index("null")
    inner = _READERS.get(_word(schema[1 - null]))
    if inner is None:
        return None

    def read(walk: Walk) -> None:
        branch = walk.number()
        walk.doubtful |= (branch < 0) | (branch > 1)
        chosen = (branch == 1 - null) & ~walk.doubtful
        if chosen.any():
            some = walk.branch(chosen)
            inner(some)
            walk.rejoin(chosen, some)

    return read


def _text(walk: Walk) -> pl.Series:
    return pl.Series(pl.from_arrow(walk.text()))


def _long(walk: Walk) -> pl.Series:
    return pl.Series(walk.number())


def _integer(walk: Walk) -> None:
    value = walk.number()
    walk.doubtful |= (value < _INT32[0]) | (value > _INT32[1])


def _event_id(walk: Walk) -> pl.Series:
    return ids_from_octets(walk.bytes_at(walk.fixed(16), 16))


def _money(walk: Walk) -> None:
    start, length = walk.sized()
    usual, short = _PLAIN_MONEY_BYTES
    walk.doubtful |= (length > short) & (length != usual) | (length == 0)
    walk.doubtful |= (length == usual) & _beyond_money(walk, start)


def _beyond_money(walk: Walk, start: Longs) -> Mask:
    octets = walk.bytes_at(start, _PLAIN_MONEY_BYTES[0])
    signed = np.where(octets[:, :1] >= 0x80, 0xFF, 0).astype(np.uint8)
    amounts = np.hstack([signed, signed, octets]).view(">i8")[:, 0]
    beyond: Mask = (amounts <= -_MONEY_LIMIT) | (amounts >= _MONEY_LIMIT)
    return beyond


_READERS: dict[str, Read] = {
    "string": _text,
    "long": _long,
    "long:timestamp-micros": _long,
    "int": _integer,
    "fixed:EventId:16": _event_id,
    "bytes:decimal:12:2": _money,
}
