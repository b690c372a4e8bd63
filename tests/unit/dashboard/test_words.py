from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from clickstream_guardian.dashboard import words

NOON = datetime(2014, 4, 7, 12, 0, 1, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0"), (999, "999"), (1_234_567, "1,234,567")]
)
def test_counts_have_their_thousands_apart(value: int | None, text: str) -> None:
    assert words.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("0", "0.00"), ("999.994", "999.99"), ("1000", "1,000"), ("-2500.5", "-2,500")],
)
def test_cents_only_below_a_thousand(value: str | None, text: str) -> None:
    assert words.money(None if value is None else Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("9999999.4", "9,999,999"), ("14539980", "14.54 M"), ("-20000000", "-20.00 M")],
)
def test_great_amounts_in_little_room(value: str | None, text: str) -> None:
    assert words.short_money(None if value is None else Decimal(value)) == text


def test_percent_of_nothing_is_a_dash() -> None:
    assert words.percent(None) == "–"
    assert words.percent(Decimal("0.0531"), 2) == "5.31 %"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0 %"), (0, 10, "0 %"), (1, 100_000, "below 0.01 %"), (1, 10_000, "0.01 %")],
)
def test_a_tiny_share_is_not_zero(part: int, whole: int, text: str) -> None:
    assert words.share(part, whole) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (385, "6 min 25 s"),
        (90_061, "1 d 1 h"),
    ],
)
def test_spans_have_two_units(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.9, "just now"), (2, "2 s ago"), (61, "1 min ago"), (86_400, "1 d ago")]
)
def test_ago_has_one_unit(seconds: float, text: str) -> None:
    assert words.ago(seconds) == text


def test_instants_are_shown_in_utc() -> None:
    in_berlin = NOON.astimezone(timezone(timedelta(hours=2)))
    assert words.moment(in_berlin) == "2014-04-07 12:00:01"
    assert words.precise(in_berlin) == "12:00:01.250"
    assert words.day(date(2014, 4, 7)) == "Mon 7 Apr 2014"


def test_a_span_names_its_day_once() -> None:
    assert words.span(NOON, NOON + timedelta(seconds=10)) == ("2014-04-07 12:00:01 – 12:00:11 UTC")
    assert words.span(NOON, NOON + timedelta(days=1)).endswith("2014-04-08 12:00:01 UTC")


def test_no_change_against_nothing() -> None:
    assert words.change(5, None) is None
    assert words.change(5, 0) is None
    assert words.change(Decimal(6), Decimal(5)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.042, "+4.2 %"), (-0.1, "−10.0 %"), (0.0002, "±0.0 %"), (-0.0002, "±0.0 %")],
)
def test_changes_have_their_sign(ratio: float, text: str) -> None:
    assert words.signed_percent(ratio) == text


def test_markdown_of_others_stands_as_it_is() -> None:
    assert words.escape_markdown("**a** <b> :red[x] $y$") == (r"\*\*a\*\* \<b\> \:red\[x\] \$y\$")
    assert "\n" not in words.escape_markdown("a\nb")
