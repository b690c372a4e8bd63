"""A line becomes an event or a rejection, whatever stands beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from clickstream_guardian.events.decode import (
    MAX_FIELD_BYTES,
    Decoded,
    decode_lines,
    detect_layout,
    missing_columns,
)
from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.events.rejections import RAW_LIMIT, Reason

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = b"1,2014-04-07T10:51:09.277Z,214536502,0"


def decode(*lines: bytes, kind: EventKind = CLICK) -> Decoded:
    return decode_lines(detect_layout(kind, lines[0]), b"\n".join(lines) + b"\n", NOW)


def reasons(*lines: bytes, kind: EventKind = CLICK) -> list[tuple[int, str]]:
    return [(r.line_number, str(r.reason)) for r in decode(*lines, kind=kind).rejections]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2014-04-07T10:51:09.277Z,214536502", Reason.TOO_FEW_FIELDS),
        (b"1,2014-04-07T10:51:09.277Z,214536502,0,x", Reason.TOO_MANY_FIELDS),
        (b"1,2014-13-45T10:51:09.277Z,214536502,0", Reason.BAD_TIMESTAMP),
        (b"1,2014-02-30T10:51:09.277Z,214536502,0", Reason.BAD_TIMESTAMP),
        (b"1,2014-04-07T10:51:09.277,214536502,0", Reason.BAD_TIMESTAMP),
        (b"1,2014-04-07,214536502,0", Reason.BAD_TIMESTAMP),
        (b"1,yesterday,214536502,0", Reason.BAD_TIMESTAMP),
        (b"1,,214536502,0", Reason.BAD_TIMESTAMP),
        (b",2014-04-07T10:51:09.277Z,214536502,0", Reason.EMPTY_SESSION),
        (b"1,2014-04-07T10:51:09.277Z,,0", Reason.EMPTY_ITEM),
        (b"1,2014-04-07T10:51:09.277Z,\xff\xfe,0", Reason.INVALID_UTF8),
        (b"1,2014-04-07T10:51:09.277Z,a\0b,0", Reason.NUL_BYTE),
        (b"1,1999-12-31T23:59:59.999Z,214536502,0", Reason.TIME_OUT_OF_RANGE),
        (b"1,2026-01-01T00:01:00.001Z,214536502,0", Reason.TIME_OUT_OF_RANGE),
        (
            b"1,2014-04-07T10:51:09.277Z," + b"i" * (MAX_FIELD_BYTES + 1) + b",0",
            Reason.LINE_TOO_LONG,
        ),
    ],
)
def test_a_bad_line_is_set_apart_and_loses_no_other(line: bytes, reason: Reason) -> None:
    decoded = decode(GOOD, line, GOOD)
    assert [(r.line_number, r.reason) for r in decoded.rejections] == [(2, reason)]
    assert decoded.events["row"].to_list() == [0, 2]


@pytest.mark.parametrize(
    "line",
    [
        b"1,2000-01-01T00:00:00.000Z,214536502,0",
        b"1,2026-01-01T00:01:00.000Z,214536502,0",
        b"1,2014-04-07T10:51:09Z,214536502,0",
        b"1,2014-04-07T12:51:09.277+02:00,214536502,0",
        b"1,2014-04-07 10:51:09.277Z,214536502,0",
        "Ä/b c,2014-04-07T10:51:09.277Z,文,S".encode(),
        b'"q",2014-04-07T10:51:09.277Z,"x,0',
    ],
)
def test_an_unusual_but_good_line_is_an_event(line: bytes) -> None:
    decoded = decode(GOOD, line)
    assert decoded.rejections == ()
    assert len(decoded.events) == 2


def test_an_offset_is_turned_into_utc() -> None:
    decoded = decode(b"1,2014-04-07T12:51:09.277+02:00,214536502,0")
    at = datetime(2014, 4, 7, 10, 51, 9, 277_000, tzinfo=UTC)
    assert decoded.events["occurred_at"].to_list() == [at]


def test_a_blank_line_is_skipped_but_counted_as_a_line() -> None:
    decoded = decode(GOOD, b"", b"  ", b"bad")
    assert (decoded.rows, decoded.lines) == (2, 4)
    assert [r.line_number for r in decoded.rejections] == [4]


def test_windows_line_ends_and_a_missing_last_newline() -> None:
    layout = detect_layout(CLICK, GOOD)
    decoded = decode_lines(layout, GOOD + b"\r\n" + GOOD, NOW)
    assert decoded.events["category"].to_list() == [None, None]
    assert decoded.rows == 2


def test_a_category_of_zero_or_nothing_is_missing() -> None:
    lines = [b"1,2014-04-07T10:51:09.277Z,2," + c for c in (b"0", b"", b"S", b"12")]
    assert decode(*lines).events["category"].to_list() == [None, None, "S", "12"]


@pytest.mark.parametrize(
    ("amount", "price", "quantity"),
    [
        (b"0,0", None, None),
        (b",", None, None),
        (b"12462,1", Decimal("12462.00"), 1),
        (b"0,3", Decimal("0.00"), 3),
        (b"5.5,0", Decimal("5.50"), None),
        (b"9999999999.99,2147483647", Decimal("9999999999.99"), 2147483647),
    ],
)
def test_an_unknown_price_is_never_free(
    amount: bytes, price: Decimal | None, quantity: int | None
) -> None:
    events = decode(b"1,2014-04-07T10:51:09.277Z,2," + amount, kind=PURCHASE).events
    assert (events["price"][0], events["quantity"][0]) == (price, quantity)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (b"-1,1", Reason.BAD_PRICE),
        (b"1.234,1", Reason.BAD_PRICE),
        (b"1e3,1", Reason.BAD_PRICE),
        (b"10000000000,1", Reason.BAD_PRICE),
        (b"1,-1", Reason.BAD_QUANTITY),
        (b"1,1.5", Reason.BAD_QUANTITY),
        (b"1,2147483648", Reason.BAD_QUANTITY),
    ],
)
def test_a_bad_amount_is_rejected(amount: bytes, reason: Reason) -> None:
    line = b"1,2014-04-07T10:51:09.277Z,2," + amount
    assert reasons(line, kind=PURCHASE) == [(1, str(reason))]


def test_a_header_names_the_columns() -> None:
    layout = detect_layout(CLICK, b"timestamp,item_id,session_id,event_id,user_agent")
    assert layout.header
    assert layout.columns == ("occurred_at", "item_id", "session_id", "given_id", "user_agent")
    assert missing_columns(detect_layout(CLICK, b"session_id,category")) == (
        "occurred_at",
        "item_id",
    )


def test_one_field_more_than_the_data_set_has_is_an_event_id() -> None:
    assert detect_layout(CLICK, GOOD + b",ab12").columns[-1] == "given_id"
    assert reasons(GOOD + b",ab12", GOOD + b",") == [(2, "empty_event_id")]


def test_the_kept_bytes_are_cut_and_their_size_is_noted() -> None:
    line = b"x" * (RAW_LIMIT + 10)
    (rejection,) = decode(GOOD, line).rejections
    assert (len(rejection.raw), rejection.raw_bytes) == (RAW_LIMIT, RAW_LIMIT + 10)


def test_time_out_of_range_moves_with_the_time_of_reading() -> None:
    line = b"1,2026-06-01T00:00:00.000Z,2,0"
    layout = detect_layout(CLICK, line)
    later = NOW + timedelta(days=365)
    assert len(decode_lines(layout, line, NOW).rejections) == 1
    assert len(decode_lines(layout, line, later).rejections) == 0
