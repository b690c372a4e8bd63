"""Restatements: a day's numbers as they were, page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.testclient import TestClient

from clickstream_guardian.store import Store
from tests.unit.api.metric_days import DAY, restate, write_days, write_delta

BEFORE = DAY - timedelta(days=1)


def ask(client: TestClient, **parameters: object) -> Any:
    answer = client.get("/metrics/restatements", params={k: str(v) for k, v in parameters.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def shop(store: Store) -> None:
    """Two days, restated in turns: five in all."""
    write_days(store, [{"a": (10, 1, "3.20")}, {"a": (40, 2, "6.40")}])
    write_delta(store, DAY, "BOT_LIKE", clicks=-30, item_id="a")
    for number in range(5):
        restate(store, (DAY, BEFORE)[number % 2], "events")


def test_numbers_are_written_as_those_of_days(client: TestClient, store: Store) -> None:
    shop(store)
    newest = ask(client, limit=1)["restatements"][0]
    assert (newest["dt"], newest["reasons"]) == (str(DAY), ["events"])
    assert newest["raw"] == client.get(f"/metrics/daily/{DAY}").json()
    assert newest["clean"] == client.get(f"/metrics/daily/{DAY}?view=clean").json()


def test_pages_follow_each_other_and_later_ones_do_not_move_them(
    client: TestClient, store: Store
) -> None:
    shop(store)
    first = ask(client, limit=2)
    restate(store, DAY, "verdicts")
    second = ask(client, limit=2, cursor=first["next_cursor"])
    third = ask(client, limit=2, cursor=second["next_cursor"])
    ids = [one["restatement_id"] for page in (first, second, third) for one in page["restatements"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 5
    assert third["next_cursor"] is None


def test_a_range_of_days(client: TestClient, store: Store) -> None:
    shop(store)
    assert len(ask(client, start_date=DAY)["restatements"]) == 3
    assert len(ask(client, end_date=BEFORE)["restatements"]) == 2
    assert ask(client, start_date=DAY, end_date=BEFORE) == {
        "restatements": [],
        "next_cursor": None,
    }


def test_a_cursor_is_what_a_page_gave(client: TestClient) -> None:
    assert client.get("/metrics/restatements?cursor=x").status_code == 422
