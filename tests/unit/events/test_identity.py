"""Ids are the same wherever and however they are computed."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.events.identity import (
    anomaly_id,
    event_id,
    event_ids,
    id_hex,
    ids_as_hex,
    ids_from_arrow,
    ids_to_arrow,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def frame(session: str, us: int, item: str, ordinal: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"session_id": [session], "occurred_at": [us], "item_id": [item], "ordinal": [ordinal]},
        schema_overrides={"session_id": pl.String, "item_id": pl.String},
    ).with_columns(pl.col("occurred_at").cast(pl.Datetime("us", "UTC")))


@given(TEXT, st.integers(0, 2**52), TEXT, st.integers(0, 9))
def test_one_event_and_a_column_of_events_get_the_same_id(
    session: str, us: int, item: str, ordinal: int
) -> None:
    (number,) = event_ids(CLICK, frame(session, us, item, ordinal)).to_list()
    assert number.to_bytes(16) == event_id(CLICK, session, us, item, ordinal)


def test_a_given_id_takes_the_place_of_item_and_ordinal() -> None:
    events = frame("s", 5, "i", 0).with_columns(given_id=pl.lit("g"))
    (number,) = event_ids(CLICK, events).to_list()
    assert number.to_bytes(16) == event_id(CLICK, "s", 5, "other", 3, given_id="g")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a\x1fb", 1, "c"), ("a", 1, "b\x1fc")),
        (("1", 1, "2"), ("12", 1, "")),
        (("s", 1, "i"), ("s", 2, "i")),
    ],
)
def test_no_choice_of_text_passes_for_another(
    one: tuple[str, int, str], other: tuple[str, int, str]
) -> None:
    assert event_id(CLICK, *one) != event_id(CLICK, *other)


def test_kind_ordinal_and_given_id_keep_events_apart() -> None:
    ids = {
        event_id(CLICK, "s", 1, "i"),
        event_id(PURCHASE, "s", 1, "i"),
        event_id(CLICK, "s", 1, "i", 1),
        event_id(CLICK, "s", 1, "i", given_id="i"),
    }
    assert len(ids) == 4


def test_ids_are_what_they_were_when_the_first_lake_was_written() -> None:
    known = event_id(CLICK, "11", 1_396_868_669_277_000, "214536502").hex()
    assert known == "b74ab7590f3e9f61c98b8a9e30cae4a1"
    assert (
        anomaly_id("HIGH_FREQUENCY", 1, "11", 1_396_868_660_000_000)
        == "526c5b0d669787e4e0c4e97d6beccf15"
    )


def test_the_sixteen_bytes_survive_the_way_to_the_lake_and_back() -> None:
    numbers = [0, 1, 2**64 - 1, 2**64, 2**128 - 1]
    ids = pl.Series("event_id", numbers, dtype=pl.UInt128)
    stored = ids_to_arrow(ids)
    assert [value.as_py().hex() for value in stored] == [id_hex(number) for number in numbers]
    assert ids_from_arrow(stored[1:]).to_list() == numbers[1:]


def test_ids_of_a_column_are_written_as_each_by_itself() -> None:
    ids = pl.Series("event_id", [0, 0xABCDEF << 100, 2**128 - 1], dtype=pl.UInt128)
    assert ids_as_hex(ids).to_list() == [id_hex(one) for one in ids]
