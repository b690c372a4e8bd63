"""Why a line or message could not become an event: a value, never an exception."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

RAW_LIMIT = 4096
"""Bytes of a rejected line that are kept; the rest is cut, its size is noted."""

RETRY_SOURCE = "retry"
"""The source of events that were decoded from dead letters afterwards; late by definition."""

_ESCAPE = re.compile(r"\\x(00|[89a-f][0-9a-f])")


class Reason(StrEnum):
    """Reason codes of rejections."""

    TOO_FEW_FIELDS = "too_few_fields"
    TOO_MANY_FIELDS = "too_many_fields"
    EMPTY_SESSION = "empty_session"
    EMPTY_ITEM = "empty_item"
    EMPTY_EVENT_ID = "empty_event_id"
    BAD_TIMESTAMP = "bad_timestamp"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    BAD_PRICE = "bad_price"
    BAD_QUANTITY = "bad_quantity"
    INVALID_UTF8 = "invalid_utf8"
    NUL_BYTE = "nul_byte"
    LINE_TOO_LONG = "line_too_long"
    BAD_AVRO = "bad_avro"
    UNKNOWN_SCHEMA = "unknown_schema"


EXPLANATIONS: dict[Reason, str] = {
    Reason.TOO_FEW_FIELDS: "the line has fewer fields than its file's layout",
    Reason.TOO_MANY_FIELDS: "the line has more fields than its file's layout",
    Reason.EMPTY_SESSION: "the session is empty",
    Reason.EMPTY_ITEM: "the item is empty",
    Reason.EMPTY_EVENT_ID: "the event id is empty",
    Reason.BAD_TIMESTAMP: "the timestamp is not an instant such as 2014-04-07T10:51:09.277Z",
    Reason.TIME_OUT_OF_RANGE: "the time is before 2000 or over 60 s after it was received",
    Reason.BAD_PRICE: "the price is not a number from 0 to 9999999999.99 with two decimals",
    Reason.BAD_QUANTITY: "the quantity is not a whole number from 0 to 2147483647",
    Reason.INVALID_UTF8: "the bytes are not UTF-8",
    Reason.NUL_BYTE: "the line holds a NUL byte",
    Reason.LINE_TOO_LONG: "the line or one of its fields is longer than it may be",
    Reason.BAD_AVRO: "the message is not an Avro record in the registry's framing",
    Reason.UNKNOWN_SCHEMA: "the schema registry does not know the message's schema id",
}
"""Each reason in words."""


@dataclass(frozen=True)
class Rejection:
    """One line that is no event.

    Attributes:
        row: position among the non-blank lines (of a chunk, later of the file), from 0.
        line_number: line (of the chunk, later of the file), from 1.
        raw: the bytes, cut at ``RAW_LIMIT``, escaped where they are not UTF-8.
        raw_bytes: how many bytes there were.
    """

    row: int
    line_number: int
    reason: Reason
    raw: str
    raw_bytes: int

    @property
    def detail(self) -> str:
        """One sentence for a person, with the beginning of the line."""
        shown = self.raw if len(self.raw) <= 80 else self.raw[:80] + "…"
        return f"{EXPLANATIONS[self.reason]}: {shown!r}"


def reject(row: int, line_number: int, reason: Reason, raw: bytes, size: int = -1) -> Rejection:
    """Make a rejection of raw bytes, cut and escaped so that they can be shown and stored."""
    text = raw[:RAW_LIMIT].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return Rejection(row, line_number, reason, text, len(raw) if size < 0 else size)


def original_bytes(raw: str, raw_bytes: int) -> bytes | None:
    """The bytes that ``reject`` was given, from what it kept; None if they cannot be told for sure.

    They cannot where they were cut, or where a text that looks like an escape was there before.
    """
    if raw_bytes > RAW_LIMIT:
        return None
    if len(raw.encode()) == raw_bytes:
        return raw.encode()
    parts = _ESCAPE.split(raw)
    pieces = [
        bytes.fromhex(part) if number % 2 else part.encode() for number, part in enumerate(parts)
    ]
    found = b"".join(pieces)
    return found if len(found) == raw_bytes else None
