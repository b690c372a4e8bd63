"""Raw, clean and delta: one shape, and parts of the rules that add up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from clickstream_guardian.store import Store
from tests.unit.api.metric_days import DAY, write_category, write_day, write_delta

DAILY, FUNNEL = f"/metrics/daily/{DAY}", f"/metrics/funnel/{DAY}"


@pytest.fixture
def shop(store: Store) -> None:
    """A day of 3 sessions, two of which are blamed on a rule each, with clicks on `a`."""
    write_day(store, DAY, {"a": (40, 0, "0"), "b": (30, 2, "20.90"), "c": (25, 0, "0")})
    write_category(store, DAY, "S", 95, "20.90")
    write_delta(store, DAY, "CLICK_FARM", clicks=-12, item_id="a")
    write_delta(store, DAY, "BOT_LIKE", clicks=-20, item_id="a")
    with store.begin() as connection:
        connection.execute(text("UPDATE item_daily SET sessions = 5 WHERE item_id = 'c'"))


def ask(client: TestClient, path: str, view: str) -> Any:
    answer = client.get(path, params={"view": view})
    assert answer.status_code == 200, answer.text
    return answer.json()


def change(clean: Any, raw: Any) -> Any:
    """Clean minus raw, as the API writes it."""
    if isinstance(raw, int):
        return clean - raw
    return None if clean is None or raw is None else str(Decimal(clean) - Decimal(raw))


@pytest.mark.usefixtures("shop")
def test_raw_is_the_default(client: TestClient) -> None:
    assert ask(client, DAILY, "raw") == client.get(DAILY).json()
    assert client.get(DAILY).json()["total_clicks"] == 95


@pytest.mark.usefixtures("shop")
def test_a_delta_is_clean_minus_raw_in_every_number(client: TestClient) -> None:
    raw, clean, delta = (ask(client, DAILY, view) for view in ("raw", "clean", "delta"))
    assert clean["total_clicks"] == 95 - 32
    assert clean["avg_clicks_per_session"] == "63.000000"
    for name in raw.keys() - {"dt", "avg_clicks_per_session", "conversion_rate"}:
        assert delta[name] == change(clean[name], raw[name]), name
    assert delta["conversion_rate"] == "0.666667"


@pytest.mark.usefixtures("shop")
def test_the_parts_of_the_rules_add_up_in_their_order(client: TestClient) -> None:
    delta = ask(client, DAILY, "delta")
    parts = delta["by_rule"]
    assert [part["rule"] for part in parts] == ["BOT_LIKE", "CLICK_FARM"]
    for name in parts[0].keys() - {"rule"}:
        whole = sum(Decimal(part[name]) for part in parts)
        assert abs(whole - Decimal(delta[name])) <= Decimal("0.000001"), name
    assert parts[0]["conversion_rate"] == "0.166667"  # 1 of 2 in place of 1 of 3
    assert parts[1]["conversion_rate"] == "0.500000"


@pytest.mark.usefixtures("shop")
def test_a_funnel_has_its_steps_in_every_view(client: TestClient) -> None:
    raw, clean, delta = (ask(client, FUNNEL, view) for view in ("raw", "clean", "delta"))
    steps = ["VIEW", "MULTI_VIEW", "PURCHASE"]
    assert [[one["step"] for one in found["steps"]] for found in (raw, clean, delta)] == [steps] * 3
    assert [one["sessions"] for one in clean["steps"]] == [1, 0, 0]
    assert [one["sessions"] for one in delta["steps"]] == [-2, -2, 0]
    assert delta["by_rule"] == [
        {"rule": rule, "steps": {"VIEW": -1, "MULTI_VIEW": -1}}
        for rule in ("BOT_LIKE", "CLICK_FARM")
    ]


@pytest.mark.usefixtures("shop")
def test_leading_items_by_clean_numbers_tell_their_other_places(client: TestClient) -> None:
    path = f"/items/popular/{DAY}"
    found = ask(client, path, "clean")["items"]
    places = {
        one["item_id"]: (one["rank"], one["raw_rank"], one["robust_rank"], one["rank_shift"])
        for one in found
    }
    assert places == {"b": (1, 2, 2, 0), "c": (2, 3, 1, 2), "a": (3, 1, 3, -2)}
    assert found[2]["clicks"] == 8
    (item,) = ask(client, path, "delta")["items"]
    assert (item["item_id"], item["rank"], item["clicks"]) == ("a", 1, -32)
    assert [part["clicks"] for part in item["by_rule"]] == [-20, -12]


@pytest.mark.usefixtures("shop")
def test_sums_and_categories_follow_the_view(client: TestClient) -> None:
    raw, clean, delta = (
        ask(client, "/metrics/summary", view)["totals"] for view in ("raw", "clean", "delta")
    )
    assert clean["total_clicks"] - raw["total_clicks"] == delta["total_clicks"] == -32
    assert delta["conversion_rate"] == "0.666667"
    path = f"/items/categories/{DAY}"
    (category,) = ask(client, path, "delta")["categories"]
    assert category["clicks"] == -2
    assert ask(client, path, "clean")["categories"][0]["clicks"] == 93


@pytest.mark.usefixtures("shop")
def test_a_day_without_abuse_is_the_same_in_both_views(client: TestClient, store: Store) -> None:
    with store.begin() as connection:
        for table in ("daily_metrics", "session_funnel", "item_daily", "popular_categories"):
            connection.execute(text(f"DELETE FROM {table}_delta"))
    for path in (DAILY, FUNNEL, "/metrics/summary", f"/items/categories/{DAY}"):
        assert ask(client, path, "clean") == ask(client, path, "raw")
    assert ask(client, DAILY, "delta")["by_rule"] == []
    assert ask(client, f"/items/popular/{DAY}", "delta")["items"] == []


def test_an_unknown_view_is_refused(client: TestClient) -> None:
    assert client.get(DAILY, params={"view": "tidy"}).status_code == 422
