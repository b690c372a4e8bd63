"""Days, funnel, summary."""

from __future__ import annotations

from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from clickstream_guardian.store import Store
from tests.unit.api.metric_days import DAY, write_day, write_days

ITEMS = {"a": (5, 1, "20.90"), "b": (2, 0, "0.00")}
NUMBERS = {
    "dt": "2014-04-07",
    "total_clicks": 7,
    "total_purchases": 1,
    "unique_sessions": 3,
    "unique_items": 2,
    "buying_sessions": 1,
    "priced_purchases": 1,
    "priced_sessions": 1,
    "total_revenue": "20.90",
    "total_duration_ms": 10000,
    "source_rows": 10,
    "conversion_rate": "0.333333",
    "avg_session_duration_seconds": "3.333333",
    "avg_clicks_per_session": "2.333333",
    "avg_order_value": "20.900000",
}


def test_a_day_has_its_numbers_money_and_ratios_as_text(client: TestClient, store: Store) -> None:
    write_day(store, DAY, ITEMS)
    assert client.get("/metrics/daily/2014-04-07").json() == NUMBERS


def test_an_empty_day_has_zeros_and_no_ratios(client: TestClient, store: Store) -> None:
    from sqlalchemy import text

    with store.begin() as connection:
        zeros = ", ".join(["0"] * 10)
        connection.execute(text(f"INSERT INTO daily_metrics VALUES ('2014-04-07', {zeros})"))
    found = client.get("/metrics/daily/2014-04-07").json()
    assert (found["total_clicks"], found["conversion_rate"]) == (0, None)


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({}, [7, 6, 5, 4]),
        ({"limit": 2}, [7, 6]),
        ({"start_date": "2014-04-06"}, [7, 6]),
        ({"end_date": "2014-04-05"}, [5, 4]),
        ({"start_date": "2014-04-05", "end_date": "2014-04-06"}, [6, 5]),
        ({"start_date": "2014-04-06", "end_date": "2014-04-05"}, []),
    ],
)
def test_days_of_a_range_are_inclusive_and_newest_first(
    client: TestClient, store: Store, query: dict[str, object], days: list[int]
) -> None:
    write_days(store, [ITEMS] * 4)
    found = client.get("/metrics/daily", params=query).json()["days"]
    assert [int(day["dt"][-2:]) for day in found] == days


@pytest.mark.parametrize(
    "path", ["/metrics/daily/2014-04-07", "/metrics/funnel/2014-04-07", "/items/trending"]
)
def test_a_day_that_is_not_computed_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "not computed" in answer.json()["detail"]


def test_the_funnel_falls_and_direct_purchases_stand_outside(
    client: TestClient, store: Store
) -> None:
    write_day(store, DAY, ITEMS)
    assert client.get("/metrics/funnel/2014-04-07").json() == {
        "dt": "2014-04-07",
        "steps": [
            {"step": "VIEW", "sessions": 3, "share_ratio": "1.000000", "drop_ratio": None},
            {
                "step": "MULTI_VIEW",
                "sessions": 2,
                "share_ratio": "0.666667",
                "drop_ratio": "0.333333",
            },
            {
                "step": "PURCHASE",
                "sessions": 0,
                "share_ratio": "0.000000",
                "drop_ratio": "1.000000",
            },
        ],
        "direct_purchase_sessions": 1,
    }


def test_the_summary_compares_with_yesterday_and_last_week(
    client: TestClient, store: Store
) -> None:
    write_days(store, [ITEMS] * 9)
    found = client.get("/metrics/summary", params={"days": 8}).json()
    compared = (found["latest"], found["previous_day"], found["previous_week"])
    assert [day["dt"][-2:] for day in compared] == ["07", "06", "31"]
    assert found["totals"] == {
        "start_date": "2014-03-31",
        "end_date": "2014-04-07",
        "day_count": 8,
        "total_clicks": 56,
        "total_purchases": 8,
        "unique_sessions": 24,
        "buying_sessions": 8,
        "total_revenue": "167.20",
        "conversion_rate": "0.333333",
        "avg_order_value": "20.900000",
    }


def test_the_summary_of_nothing(client: TestClient) -> None:
    nothing = dict.fromkeys(("latest", "previous_day", "previous_week", "totals"))
    assert client.get("/metrics/summary").json() == nothing


def test_a_gap_in_the_days_compares_with_nothing(client: TestClient, store: Store) -> None:
    write_day(store, DAY, ITEMS)
    write_day(store, DAY - timedelta(days=2), ITEMS)
    found = client.get("/metrics/summary").json()
    assert (found["previous_day"], found["totals"]["day_count"]) == (None, 2)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics/daily/2014-04-06",
        "/metrics/funnel/2014-04-06",
        "/items/popular/2014-04-06",
        "/items/categories/2014-04-06",
    ],
)
def test_a_past_day_may_be_kept_and_the_newest_may_not(
    client: TestClient, store: Store, path: str
) -> None:
    write_days(store, [ITEMS] * 2)
    past = client.get(path)
    assert past.headers["cache-control"] == "private, max-age=300"
    again = client.get(path, headers={"If-None-Match": past.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    newest = client.get(path.replace("04-06", "04-07"))
    assert newest.headers["cache-control"] == "private, no-cache"


def test_a_day_computed_anew_has_another_tag(client: TestClient, store: Store) -> None:
    from sqlalchemy import text

    write_days(store, [ITEMS] * 2)
    tag = client.get("/metrics/daily/2014-04-06").headers["etag"]
    with store.begin() as connection:
        connection.execute(
            text("UPDATE daily_metrics SET total_clicks = 8 WHERE dt = '2014-04-06'")
        )
    again = client.get("/metrics/daily/2014-04-06", headers={"If-None-Match": tag})
    assert (again.status_code, again.json()["total_clicks"]) == (200, 8)
