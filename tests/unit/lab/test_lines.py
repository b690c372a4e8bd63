"""Lines: every digit as the data set writes it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from clickstream_guardian.lab.columns import Clicks, Purchases
from clickstream_guardian.lab.lines import LineWriter, text_table

ITEMS = text_table(["214536502", "1178837123"])
CATEGORIES = text_table(["0", "S", "12", "8710000000"])


def _ms(text: str) -> int:
    instant = datetime.fromisoformat(text)
    return (int(instant.replace(microsecond=0).timestamp()) * 1000) + instant.microsecond // 1000


def _clicks(*rows: tuple[int, str, int, int]) -> Clicks:
    session, at, item, category = zip(*rows, strict=True)
    return Clicks(
        session_id=np.array(session, dtype=np.int64),
        at_ms=np.array([_ms(text) for text in at], dtype=np.int64),
        ordinal=np.arange(len(rows), dtype=np.int32),
        item=np.array(item, dtype=np.int32),
        category=np.array(category, dtype=np.uint8),
    )


def test_click_line() -> None:
    clicks = _clicks(
        (1, "2014-04-07T10:51:09.277+00:00", 0, 0),
        (11_562_161, "2014-09-30T02:59:59.999+00:00", 1, 3),
    )
    assert LineWriter(ITEMS, CATEGORIES).clicks(clicks) == (
        b"1,2014-04-07T10:51:09.277Z,214536502,0\n"
        b"11562161,2014-09-30T02:59:59.999Z,1178837123,8710000000\n"
    )


def test_purchase_line_of_unknown_price_says_zero() -> None:
    clicks = _clicks((420_374, "2014-04-06T18:44:58.004+00:00", 0, 0))
    purchases = Purchases(
        clicks.session_id, clicks.at_ms, clicks.ordinal, clicks.item,
        price=np.zeros(1, dtype=np.int32), quantity=np.zeros(1, dtype=np.int32),
    )  # fmt: skip
    assert LineWriter(ITEMS, CATEGORIES).purchases(purchases) == (
        b"420374,2014-04-06T18:44:58.004Z,214536502,0,0\n"
    )


@pytest.mark.parametrize(
    "number", [1, 9_999, 10_000, 10_001, 100_000_000, 100_000_001, 100_010_000, 999_999_999_999]
)
def test_digits_of_session_ids(number: int) -> None:
    clicks = _clicks((number, "2014-04-07T00:00:00.000+00:00", 0, 1))
    line = LineWriter(ITEMS, CATEGORIES).clicks(clicks).decode()
    assert line == f"{number},2014-04-07T00:00:00.000Z,214536502,S\n"


def test_nothing_is_no_line() -> None:
    none = _clicks((1, "2014-04-07T00:00:00.000+00:00", 0, 1)).take(slice(0, 0))
    assert LineWriter(ITEMS, CATEGORIES).clicks(none) == b""


def test_instants_are_utc_days_apart() -> None:
    at = datetime(2016, 2, 29, 23, 59, 59, 1_000, tzinfo=UTC).isoformat(timespec="milliseconds")
    lines = LineWriter(ITEMS, CATEGORIES).clicks(
        _clicks((1, at, 0, 0), (1, "2014-04-07T00:00:00.000+00:00", 0, 0))
    )
    assert b"2016-02-29T23:59:59.001Z" in lines
    assert b"2014-04-07T00:00:00.000Z" in lines


def test_event_ids_are_hex_stable_and_all_different() -> None:
    row = (7, "2014-04-07T00:00:00.000+00:00", 0, 0)
    clicks = _clicks(row, row, row)
    writer = LineWriter(ITEMS, CATEGORIES, id_seed=1)
    ids = [line.rsplit(",", 1)[1] for line in writer.clicks(clicks).decode().splitlines()]
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)
    assert len(set(ids)) == 3
    assert writer.clicks(clicks) == writer.clicks(clicks)
    other = LineWriter(ITEMS, CATEGORIES, id_seed=2).clicks(clicks).decode()
    assert not any(one in other for one in ids)
