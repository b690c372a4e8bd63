"""What the pages make of the API's answers, without drawing it."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from typing import Any, get_args

import pytest

from clickstream_guardian.api import models
from clickstream_guardian.api.parameters import BUCKET_SECONDS
from clickstream_guardian.dashboard import views
from clickstream_guardian.dashboard.screens import (
    anomalies,
    daily,
    days,
    funnel,
    items,
    overview,
    restated,
    session,
)
from tests.browser.canned import ODD_SESSION, Routes, anomaly, demo_world


def found(**changes: Any) -> views.Anomaly:
    return views.Anomaly.model_validate(anomaly(1, random.Random(1)) | changes)


def test_a_threshold_is_a_mark_on_the_measured_bar() -> None:
    one = found(measures={"clicks": 61}, thresholds={"clicks": ">= 50"}, severity="high")
    (bar,) = session.measure_bars(one)
    assert bar.value == "61 · rule: >= 50"
    assert bar.mood == "high"
    assert bar.mark is not None
    assert bar.share is not None
    assert bar.mark < bar.share < 1


def test_a_ratio_is_shown_to_four_places() -> None:
    (bar,) = session.measure_bars(found(measures={"d": 0.02054794}, thresholds={"d": "<= 0.1"}))
    assert bar.value == "0.02055 · rule: <= 0.1"


def test_a_measure_without_threshold_has_no_mark() -> None:
    (bar,) = session.measure_bars(found(measures={"items": 4}, thresholds={}))
    assert (bar.value, bar.share, bar.mark) == ("4", None, None)


def test_a_threshold_that_cannot_be_read_is_shown_all_the_same() -> None:
    (bar,) = session.measure_bars(found(measures={"x": 4}, thresholds={"x": "between 3 and 5"}))
    assert (bar.value, bar.share) == ("4 · rule: between 3 and 5", None)


def test_a_value_of_zero_has_an_empty_bar() -> None:
    (bar,) = session.measure_bars(found(measures={"x": 0}, thresholds={"x": "<= 0"}))
    assert bar.share == 0


@pytest.mark.parametrize(
    ("measures", "thresholds", "limit"),
    [
        ({"clicks": 61}, {"clicks": ">= 50"}, 50.0),
        ({"clicks": 60}, {"clicks": ">= 50"}, None),
        ({"diversity": 0.1}, {"diversity": "<= 0.1"}, None),
    ],
)
def test_only_a_rule_that_counts_events_has_a_line_in_the_chart(
    measures: dict[str, float], thresholds: dict[str, str], limit: float | None
) -> None:
    one = found(measures=measures, thresholds=thresholds, event_count=61)
    assert session.event_limit(one) == limit


def test_the_ticker_shows_an_odd_id_as_it_stands() -> None:
    label = overview.ticker_label([found(session_id=ODD_SESSION)])
    assert r"\<img src\=x" in label
    assert "[x](y)" not in label


def test_windows_of_one_session_and_rule_are_one_row_of_the_ticker() -> None:
    rows = (found(session_id="a"), found(session_id="b"), found(session_id="a"))
    assert [len(windows) for windows in overview.by_session(rows)] == [2, 1]
    assert "2 windows" in overview.ticker_label([rows[0], rows[2]])


def test_a_row_holds_what_the_file_needs() -> None:
    one = found()
    row = anomalies.row(one)
    assert row["anomaly_id"] == one.anomaly_id
    assert row["severity"] == [one.severity]


def test_the_api_knows_the_bucket_of_every_period() -> None:
    for period in anomalies.PERIODS.values():
        seconds = BUCKET_SECONDS[period.bucket]
        assert 20 <= period.hours * 3600 / seconds <= 400


def test_direct_purchases_stand_outside_the_steps() -> None:
    _, body = Routes(demo_world()).metrics_funnel("2014-04-28", {})
    rows = funnel.rows(views.Funnel.model_validate(body))
    assert [row["step"] for row in rows] == ["VIEW", "MULTI_VIEW", "PURCHASE", "DIRECT_PURCHASE"]
    assert rows[-1]["share_ratio"] is None
    assert all(list(row) == list(rows[0]) for row in rows)


def test_a_day_without_a_ratio_is_not_drawn_as_zero() -> None:
    (day,) = (views.Day.model_validate(demo_world().days[0] | {"conversion_rate": None}),)
    assert daily.points_of((day,), daily.BY_NAME["Conversion rate"]) == []
    assert daily.row(day)["conversion_rate"] is None
    assert daily.row(day)["dt"] == date(2014, 4, 28)


def test_a_restatement_says_why_in_words_and_keeps_both_numbers() -> None:
    newest, older = (
        views.Restatement.model_validate(one) for one in Routes(demo_world()).restatements({})
    )
    assert restated.row(newest)["reasons"] == ["new version of a rule"]
    row = restated.row(older)
    assert row["reasons"] == ["let through", "rows came in"]
    assert row["clicks"] - row["clicks_clean"] == 804
    assert set(restated.REASONS) == set(get_args(models.Reason))
    assert list(row) == list(restated.COLUMNS)


@pytest.mark.parametrize(
    ("ratio", "text"), [(None, "new"), ("22.84", "× 22.8"), ("100", "× 100.0"), ("8078", "> × 100")]
)
def test_growth_from_next_to_nothing_is_not_a_number(ratio: str | None, text: str) -> None:
    _, body = Routes(demo_world()).items_trending({"limit": "1"})
    one = views.TrendingItem.model_validate(body["items"][0] | {"growth_ratio": ratio})
    assert items.growth(one) == text


@pytest.mark.parametrize(
    ("newest", "shown"),
    [
        (datetime(2014, 4, 28, 23, 50, tzinfo=UTC), date(2014, 4, 28)),
        (datetime(2014, 4, 28, 23, 49, 59, tzinfo=UTC), date(2014, 4, 27)),
        (datetime(2014, 4, 1, 3, tzinfo=UTC), date(2014, 4, 28)),
        (None, date(2014, 4, 28)),
    ],
)
def test_a_running_day_is_not_the_first_to_be_shown(newest: datetime | None, shown: date) -> None:
    known = tuple(views.Day.model_validate(row) for row in demo_world().days)
    assert days.newest_full(known, newest).dt == shown
