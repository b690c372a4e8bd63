"""The client over real HTTP: what it asks for, what it shares, how it says that it failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from clickstream_guardian.dashboard import client as client_module
from clickstream_guardian.dashboard.client import (
    ApiDownError,
    ApiProblemError,
    Client,
    noting_stale_answers,
)
from tests.browser.canned import ODD_SESSION, CannedServer, demo_world, serving


@pytest.fixture
def api() -> Iterator[CannedServer]:
    with serving(demo_world()) as server:
        yield server


@pytest.fixture
def client(api: CannedServer) -> Iterator[Client]:
    made = Client(api.url)
    yield made
    made.close()


def test_filters_that_are_not_set_are_not_sent(api: CannedServer, client: Client) -> None:
    client.anomalies(rule="BOT_LIKE", since=datetime(2014, 4, 28, 20, tzinfo=UTC), limit=3)
    assert api.world.seen == ["/anomalies?rule=BOT_LIKE&since=2014-04-28T20%3A00%3A00Z&limit=3"]


def test_pages_follow_one_another(client: Client) -> None:
    first = client.anomalies(limit=100)
    second = client.anomalies(limit=100, cursor=first.next_cursor)
    assert len(first.anomalies) == 100
    assert len(second.anomalies) == 80
    assert second.next_cursor is None


def test_an_odd_session_id_is_asked_for_whole(client: Client) -> None:
    found = client.session(ODD_SESSION)
    assert found is not None
    assert found.session_id == ODD_SESSION


@pytest.mark.parametrize("session_id", ["types", "timeline", "stream", ".", "..", ""])
def test_an_id_that_cannot_be_a_path_is_found_as_a_filter(
    session_id: str, api: CannedServer, client: Client
) -> None:
    row = api.world.anomalies[0] | {
        "session_id": session_id,
        "window_start": "2014-04-28T23:59:59Z",
    }
    api.world.add(row)
    found = client.session(session_id)
    assert found is not None
    assert found.anomalies[0].anomaly_id == row["anomaly_id"]
    assert found.anomalies[0].sample.occurred_at == ()


def test_what_is_not_there_is_none(client: Client) -> None:
    assert client.session("nobody") is None
    assert client.funnel(date(1999, 1, 1)) is None
    assert client.popular(date(1999, 1, 1), "clicks") is None


def test_an_answer_is_shared_for_a_moment(
    api: CannedServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.status()
    client.status()
    assert api.world.seen == ["/status"]
    monkeypatch.setattr(client_module, "KEEP_SECONDS", 0.0)
    client.status()
    assert api.world.seen == ["/status", "/status"]


def test_nothing_at_the_address_is_down() -> None:
    with serving(demo_world()) as gone:
        url = gone.url
    with pytest.raises(ApiDownError, match=f"Nothing answers at {url}"):
        Client(url).status()


def test_no_answer_in_time_is_down(api: CannedServer) -> None:
    api.world.slow_seconds = 1.0
    with pytest.raises(ApiDownError, match="/status did not answer in time"):
        Client(api.url, timeout_seconds=0.1).status()


def test_a_problem_brings_its_sentence(api: CannedServer, client: Client) -> None:
    api.world.broken["/status"] = (503, "All connections are in use.")
    with pytest.raises(ApiProblemError, match="All connections are in use") as caught:
        client.status()
    assert caught.value.status == 503


def test_the_key_opens(api: CannedServer) -> None:
    api.world.key = "gk_1"
    assert Client(api.url, "gk_1").status().events.received > 0
    with pytest.raises(ApiProblemError) as caught:
        Client(api.url, "gk_2").status()
    assert caught.value.status == 401


def test_an_answer_of_another_shape_names_the_place(api: CannedServer, client: Client) -> None:
    del api.world.days[0]["total_clicks"]
    with pytest.raises(
        ApiProblemError, match=r"/metrics/daily cannot be read at days\.0\.total_cl"
    ):
        client.days()


def test_a_field_that_is_added_later_does_no_harm(api: CannedServer, client: Client) -> None:
    api.world.days[0]["verdict"] = "clean"
    assert client.days()[0].dt == date(2014, 4, 28)


def test_stale_answers_are_noted_whether_fetched_or_shared(
    api: CannedServer, client: Client
) -> None:
    api.world.stale_seconds = 7
    with noting_stale_answers() as ages:
        client.anomaly_types()
        client.anomaly_types()
    assert ages == [7, 7]
    api.world.stale_seconds = None
    with noting_stale_answers() as ages:
        client.status()
    assert ages == []
