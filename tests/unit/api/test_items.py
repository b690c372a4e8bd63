"""Popular items, categories."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from clickstream_guardian.store import Store
from tests.unit.api.metric_days import DAY, write_category, write_day


def popular(client: TestClient, **query: object) -> list[dict[str, Any]]:
    answer = client.get("/items/popular/2014-04-07", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@pytest.mark.parametrize("by", ["clicks", "purchases", "revenue"])
@pytest.mark.parametrize("most_clicks", [3, 19, 25, 400])
def test_the_ranking_is_that_of_the_view(
    client: TestClient, store: Store, by: str, most_clicks: int
) -> None:
    """Ties, items nobody bought, and counts on both sides of the index's 20 clicks."""
    rng = random.Random(most_clicks)
    items = {
        f"item-{n:03}": (rng.randint(0, most_clicks), rng.randint(0, 2), f"{rng.randint(0, 9)}.50")
        for n in range(150)
    }
    write_day(store, DAY, items)
    with store.begin() as connection:
        rows = connection.execute(
            text(
                "SELECT rank, item_id, clicks, purchases, revenue::text FROM popular_items "
                "WHERE dt = :dt AND ranking = :by ORDER BY rank"
            ),
            {"dt": DAY, "by": by},
        ).all()
    found = popular(client, by=by, limit=100)
    names = ("rank", "item_id", "clicks", "purchases", "revenue")
    assert [tuple(item[name] for name in names) for item in found] == [tuple(r) for r in rows]


def test_equal_items_stand_in_bytewise_order(client: TestClient, store: Store) -> None:
    write_day(store, DAY, dict.fromkeys(("ü", "b", "Z", "a", "10", "9"), (30, 0, "0")))
    assert [item["item_id"] for item in popular(client)] == ["10", "9", "Z", "a", "b", "ü"]


def test_a_computed_day_without_items_is_an_empty_list(client: TestClient, store: Store) -> None:
    write_day(store, DAY, {})
    assert popular(client) == []
    found = client.get("/items/categories/2014-04-07").json()
    assert (found["category_count"], found["categories"]) == (0, [])


def test_a_day_that_is_not_computed_is_not_found(client: TestClient) -> None:
    for path in ("/items/popular/2014-04-07", "/items/categories/2014-04-07"):
        assert client.get(path).status_code == 404


def test_categories_are_ranked_and_counted(client: TestClient, store: Store) -> None:
    write_day(store, DAY, {"a": (9, 0, "0")})
    for category, clicks, revenue in (("S", 5, "1.00"), ("unknown", 3, "7.00"), ("1", 3, "2.00")):
        write_category(store, DAY, category, clicks, revenue)
    write_category(store, DAY - timedelta(days=1), "other", 1, "1.00")
    found = client.get("/items/categories/2014-04-07").json()
    assert found["category_count"] == 3
    assert [one["category"] for one in found["categories"]] == ["S", "1", "unknown"]
    by_revenue = client.get("/items/categories/2014-04-07?by=revenue&limit=2").json()
    assert by_revenue["category_count"] == 3
    assert [one["revenue"] for one in by_revenue["categories"]] == ["7.00", "2.00"]
