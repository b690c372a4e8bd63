"""Trending: exactly the formula, however few items are looked at."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
from starlette.testclient import TestClient

from clickstream_guardian.api import trending
from clickstream_guardian.api.trending import Candidate, Totals, is_settled, leading
from clickstream_guardian.store import Store
from tests.unit.api.metric_days import Items, write_day, write_days


def ask(client: TestClient, **query: object) -> dict[str, Any]:
    answer = client.get("/items/trending", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def by_the_formula(days: list[Items], limit: int) -> list[tuple[str, str]]:
    """Item and change, over all items of the last day, from shares as fractions."""
    today, before = days[-1], days[-8:-1]
    total = sum(one[0] for one in today.values())
    total_before = sum(one[0] for day in before for one in day.values())
    changes = {
        item: Fraction(clicks, total)
        - Fraction(sum(day[item][0] for day in before if item in day), total_before)
        for item, (clicks, _, _) in today.items()
    }
    grew = sorted((-change, item) for item, change in changes.items() if change > 0)
    return [(item, f"{float(-change):.6f}") for change, item in grew[:limit]]


@pytest.mark.parametrize("most", [5, 60, 400, 2000])
@pytest.mark.parametrize("limit", [3, 100])
def test_the_list_is_that_of_looking_at_all_items(
    client: TestClient,
    store: Store,
    most: int,
    limit: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trending, "_CHUNK", 7)
    rng = random.Random(most)
    days: list[Items] = [
        {
            f"i{n}": (1 + int(most * rng.random() ** 4), 0, "0")
            for n in range(120)
            if rng.random() < 0.9
        }
        for _ in range(9)
    ]
    write_days(store, days)
    found = ask(client, limit=limit)["items"]
    wanted = by_the_formula(days, limit)
    assert [item["item_id"] for item in found] == [item for item, _ in wanted]
    for item, (_, change) in zip(found, wanted, strict=True):
        assert abs(float(item["change_ratio"]) - float(change)) <= 1e-6
    assert [item["rank"] for item in found] == list(range(1, len(found) + 1))


def test_shares_are_told_with_what_they_are_made_of(client: TestClient, store: Store) -> None:
    write_days(
        store, [{"a": (10, 0, "0"), "b": (30, 0, "0")}, {"a": (30, 0, "0"), "c": (10, 0, "0")}]
    )
    found = ask(client, date="2014-04-07")
    assert (found["total_clicks"], found["baseline_total_clicks"]) == (40, 40)
    assert (found["baseline_start_date"], found["baseline_end_date"]) == (
        "2014-03-31",
        "2014-04-06",
    )
    assert found["items"] == [
        {
            "rank": 1,
            "item_id": "a",
            "clicks": 30,
            "share_ratio": "0.750000",
            "baseline_clicks": 10,
            "baseline_share_ratio": "0.250000",
            "change_ratio": "0.500000",
            "growth_ratio": "3.000000",
        },
        {
            "rank": 2,
            "item_id": "c",
            "clicks": 10,
            "share_ratio": "0.250000",
            "baseline_clicks": 0,
            "baseline_share_ratio": "0.000000",
            "change_ratio": "0.250000",
            "growth_ratio": None,
        },
    ]


def test_without_days_before_nothing_is_trending(client: TestClient, store: Store) -> None:
    write_day(store, trending_day(), {"a": (10, 0, "0")})
    assert ask(client)["items"] == []


def test_the_eighth_day_before_does_not_count(client: TestClient, store: Store) -> None:
    write_days(store, [{"a": (10, 0, "0")}, *[{"b": (1, 0, "0")}] * 7, {"a": (1, 0, "0")}])
    (found,) = ask(client)["items"]
    assert found["baseline_clicks"] == 0


def test_a_list_is_settled_only_when_no_later_item_can_enter_it() -> None:
    totals = Totals(100, 100)
    best = leading([Candidate("a", 30, 10), Candidate("b", 25, 10)], totals, 2)
    assert is_settled(best, totals, 2, clicks=14)
    assert not is_settled(best, totals, 2, clicks=15)  # a new item of 15 clicks would tie
    assert not is_settled(best, totals, 3, clicks=1)


def trending_day() -> Any:
    from tests.unit.api.metric_days import DAY

    return DAY
