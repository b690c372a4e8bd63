"""A session's verdict with what it rests on; decisions with their time to live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from starlette.testclient import TestClient

from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.store import Store
from tests.unit.api.test_anomalies import get, write
from tests.unit.store.samples import START, anomaly, at

CROSSED = START + timedelta(seconds=7)


def test_a_session_is_told_with_evidence_and_timeline(client: TestClient, store: Store) -> None:
    write(
        store,
        anomaly(1),
        at(START + timedelta(seconds=10), 2, first_crossed_at=START + timedelta(seconds=17)),
        anomaly(3, rule="BOT_LIKE", severity="medium", status="open", explanation="a bot"),
        anomaly(4, rule="GONE", status="withdrawn"),
        anomaly(5, session_id="7"),
    )
    found = get(client, "/sessions/42")
    assert found.pop("updated_at")
    evidence, timeline = found.pop("evidence"), found.pop("timeline")
    assert found == {
        "session_id": "42",
        "verdict": "abusive",
        "score": 0.96,
        "rules": ["BOT_LIKE", "HIGH_FREQUENCY"],
        "first_flagged_at": "2014-04-07T10:51:07.000000Z",
        "last_flagged_at": "2014-04-07T10:51:17.000000Z",
        "allowed_by": None,
        "revision": 1,
    }
    told = [(one["rule"], one["severity"], one["anomaly_count"]) for one in evidence]
    assert told == [("BOT_LIKE", "medium", 1), ("HIGH_FREQUENCY", "high", 2)]
    assert evidence[0]["explanation"] == "a bot"
    assert [int(one["anomaly_id"], 16) for one in timeline] == [1, 3, 2]


def test_a_session_nobody_spoke_of_is_not_found(client: TestClient) -> None:
    answer = client.get("/sessions/nobody")
    assert answer.status_code == 404
    assert "GET /anomalies" in answer.json()["detail"]


def test_a_decision_lives_for_an_hour_after_the_last_flag(client: TestClient, store: Store) -> None:
    write(store, anomaly(1), anomaly(2, session_id="7", severity="medium"))
    at_once = get(client, "/decisions")
    assert (at_once["mode"], at_once["as_of"]) == ("shadow", "2014-04-07T10:51:07Z")
    told = [(one["session_id"], one["action"]) for one in at_once["decisions"]]
    assert told == [("42", "block"), ("7", "challenge")]
    assert at_once["decisions"][0]["time_to_live_seconds"] == 3600
    assert at_once["decisions"][0]["expires_at"] == "2014-04-07T11:51:07.000000Z"
    (blocked,) = get(client, "/decisions", action="block")["decisions"]
    assert blocked["session_id"] == "42"
    for seconds, count in ((3599, 2), (3600, 0), (-1, 0)):
        moment = (CROSSED + timedelta(seconds=seconds)).isoformat()
        assert len(get(client, "/decisions", as_of=moment)["decisions"]) == count


@pytest.mark.parametrize(
    ("accept", "query", "is_list"),
    [
        ("text/plain", {}, True),
        ("text/plain;q=0.9, application/json", {}, True),
        ("application/json, text/plain", {}, False),
        ("*/*", {}, False),
        ("*/*", {"format": "list"}, True),
        ("text/plain", {"format": "json"}, False),
    ],
)
def test_the_form_is_chosen_by_name_or_by_accept(
    client: TestClient, store: Store, accept: str, query: dict[str, str], is_list: bool
) -> None:
    write(store, anomaly(1))
    answer = client.get("/decisions", params=query, headers={"accept": accept})
    assert answer.headers["content-type"].startswith("text/plain") is is_list
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    known = {"accept": accept, "if-none-match": answer.headers["etag"]}
    assert client.get("/decisions", params=query, headers=known).status_code == 304


def test_the_list_of_the_shadow_is_comments_alone(client: TestClient, store: Store) -> None:
    write(store, anomaly(1))
    assert get_list(client) == "# mode: shadow\n# 42\n"


def test_the_enforced_list_has_a_session_per_line_and_none_that_would_be_two(
    serve: Callable[[ApiConfig], str], config: ApiConfig, store: Store
) -> None:
    write(store, anomaly(1), anomaly(2, session_id="a\nb"), anomaly(3, session_id="7"))
    url = serve(replace(config, decisions_enforced=True))
    with httpx.Client(base_url=url) as client:
        assert get_list(client) == "# mode: enforce\n42\n7\n"


def get_list(client: httpx.Client) -> str:
    answer = client.get("/decisions", params={"format": "list"})
    assert answer.status_code == 200, answer.text
    return answer.text
