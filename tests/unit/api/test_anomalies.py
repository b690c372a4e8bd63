"""Which anomalies are listed, in what order, and how the pages join."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.store import Store, upsert_anomalies
from tests.unit.store.samples import START, anomaly, at


def write(store: Store, *anomalies: Anomaly) -> None:
    with store.begin() as connection:
        upsert_anomalies(connection, {"": anomalies})


def numbers(answer: dict[str, Any]) -> list[int]:
    return [int(one["anomaly_id"], 16) for one in answer["anomalies"]]


def get(client: TestClient, path: str, **query: object) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_without_any_the_list_is_empty(client: TestClient) -> None:
    assert get(client, "/anomalies") == {"anomalies": [], "next_cursor": None}


def test_newest_window_comes_first_and_ties_go_by_id(client: TestClient, store: Store) -> None:
    later = START + timedelta(seconds=10)
    write(store, anomaly(3), at(later, 1), anomaly(2))
    assert numbers(get(client, "/anomalies")) == [1, 2, 3]


def test_an_anomaly_is_told_whole(client: TestClient, store: Store) -> None:
    write(store, anomaly(5))
    (found,) = get(client, "/anomalies")["anomalies"]
    assert found.pop("detected_at") == found.pop("updated_at")
    assert found.pop("change_id") > 0
    assert found == {
        "anomaly_id": f"{5:032x}",
        "rule": "HIGH_FREQUENCY",
        "rule_version": 1,
        "severity": "high",
        "status": "final",
        "session_id": "42",
        "window_start": "2014-04-07T10:51:00.000000Z",
        "window_end": "2014-04-07T10:51:10.000000Z",
        "measures": {"clicks": 60, "diversity": 0.1},
        "thresholds": {"clicks": ">= 50"},
        "event_count": 60,
        "first_crossed_at": "2014-04-07T10:51:07.000000Z",
        "crossed_event_id": "f" * 32,
        "explanation": "60 clicks in 10 seconds",
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"rule": "BOT_LIKE"}, [2]),
        ({"anomaly_type": "BOT_LIKE"}, [2]),
        ({"rule": "BOT_LIKE", "anomaly_type": "HIGH_FREQUENCY"}, []),
        ({"severity": "critical"}, [3]),
        ({"session_id": "a/b"}, [4]),
        ({"status": "open"}, [4]),
        ({"status": "final"}, [3, 2, 1]),
        ({"status": "withdrawn"}, [5]),
        ({"since": "2014-04-07T10:51:20Z"}, [4, 3]),
        ({"since": "2014-04-07T12:51:20+02:00"}, [4, 3]),
        ({"until": "2014-04-07T10:51:20Z"}, [2, 1]),
        ({"since": "2014-04-07", "until": "2014-04-08"}, [4, 3, 2, 1]),
        ({"since": "2014-04-08", "until": "2014-04-07"}, []),
        ({"limit": 2}, [4, 3]),
    ],
)
def test_filters_keep_what_fits(
    client: TestClient, store: Store, query: dict[str, object], expected: list[int]
) -> None:
    starts = [START + timedelta(seconds=10 * n) for n in range(5)]
    write(
        store,
        at(starts[0], 1),
        at(starts[1], 2, rule="BOT_LIKE"),
        at(starts[2], 3, severity="critical"),
        at(starts[3], 4, session_id="a/b", status="open"),
        at(starts[4], 5, status="withdrawn"),
    )
    assert numbers(get(client, "/anomalies", **query)) == expected


def test_pages_join_without_repeating_or_losing_while_rows_arrive(
    client: TestClient, store: Store
) -> None:
    """Ten share each window, so a page ends within a tie; new rows come before and between."""
    write(store, *(at(START + timedelta(seconds=10 * (n // 10)), n) for n in range(10, 60)))
    seen: list[int] = []
    cursor = None
    for page in range(20):
        query = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        answer = get(client, "/anomalies", **query)
        seen += numbers(answer)
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        write(store, at(START + timedelta(hours=1), 1000 + page))
    assert sorted(seen) == list(range(10, 60))
    assert seen == [n for tens in range(5, 0, -1) for n in range(tens * 10, tens * 10 + 10)]


def test_a_full_last_page_has_no_next(client: TestClient, store: Store) -> None:
    write(store, *(anomaly(n) for n in range(4)))
    first = get(client, "/anomalies", limit=2)
    last = get(client, "/anomalies", limit=2, cursor=first["next_cursor"])
    assert (numbers(first), numbers(last), last["next_cursor"]) == ([0, 1], [2, 3], None)


@pytest.mark.parametrize("cursor", ["A" * 32, "_" * 32, "f" + "_" * 31])
def test_any_cursor_of_the_right_shape_is_a_place_in_the_list(
    client: TestClient, store: Store, cursor: str
) -> None:
    write(store, anomaly(1))
    assert numbers(get(client, "/anomalies", cursor=cursor)) in ([], [1])


def test_a_session_comes_with_its_evidence(client: TestClient, store: Store) -> None:
    write(store, anomaly(1), at(START + timedelta(seconds=10), 2), anomaly(3, session_id="7"))
    found = get(client, "/anomalies/42")
    assert (found["session_id"], found["anomaly_count"], numbers(found)) == ("42", 2, [2, 1])
    assert found["anomalies"][0]["sample"] == {
        "occurred_at": ["2014-04-07T10:51:00Z", "2014-04-07T10:51:01.500Z"],
        "item_id": ["214536502", 'a "quoted"\titem \\ ü'],
        "event_id": ["1" + "0" * 31, "0" * 31 + "2"],
    }


def test_a_session_is_paged(client: TestClient, store: Store) -> None:
    write(store, *(at(START + timedelta(seconds=10 * n), n) for n in range(3)))
    first = get(client, "/anomalies/42", limit=2)
    last = get(client, "/anomalies/42", limit=2, cursor=first["next_cursor"])
    assert (numbers(first), numbers(last), last["next_cursor"]) == ([2, 1], [0], None)
    assert first["anomaly_count"] == last["anomaly_count"] == 3


@pytest.mark.parametrize("session_id", ["a/b", "é %", "../x", "?q=1", "types/", "a" * 512])
def test_a_session_may_be_called_anything(
    client: TestClient, store: Store, session_id: str
) -> None:
    from urllib.parse import quote

    write(store, anomaly(1, session_id=session_id))
    assert get(client, f"/anomalies/{quote(session_id, safe='')}")["session_id"] == session_id
    assert numbers(get(client, "/anomalies", session_id=session_id)) == [1]


def test_fixed_words_win_over_sessions_of_that_name(client: TestClient, store: Store) -> None:
    write(store, anomaly(1, session_id="types"))
    assert "types" in get(client, "/anomalies/types")
    assert numbers(get(client, "/anomalies", session_id="types")) == [1]


@pytest.mark.parametrize("session_id", ["none", "withdrawn"])
def test_a_session_without_listed_anomalies_is_not_found(
    client: TestClient, store: Store, session_id: str
) -> None:
    write(store, anomaly(1, session_id="withdrawn", status="withdrawn"))
    answer = client.get(f"/anomalies/{session_id}")
    assert answer.status_code == 404
    assert "GET /anomalies" in answer.json()["detail"]


def test_types_count_anomalies_and_sessions_of_each_rule(client: TestClient, store: Store) -> None:
    later = START + timedelta(days=40)
    write(
        store,
        anomaly(1),
        at(later, 2),
        anomaly(3, session_id="7"),
        anomaly(4, rule="BOT_LIKE"),
        at(later, 5, rule="BOT_LIKE", status="withdrawn"),
        anomaly(6, rule="WITHDRAWN_ONLY", status="withdrawn"),
    )
    assert get(client, "/anomalies/types") == {
        "anomaly_count": 4,
        "types": [
            {
                "rule": "HIGH_FREQUENCY",
                "anomaly_count": 3,
                "session_count": 2,
                "share_ratio": "0.750000",
                "first_at": "2014-04-07T10:51:00.000000Z",
                "last_at": "2014-05-17T10:51:00.000000Z",
            },
            {
                "rule": "BOT_LIKE",
                "anomaly_count": 1,
                "session_count": 1,
                "share_ratio": "0.250000",
                "first_at": "2014-04-07T10:51:00.000000Z",
                "last_at": "2014-04-07T10:51:00.000000Z",
            },
        ],
    }


def test_the_timeline_ends_at_the_newest_event_and_shows_empty_buckets(
    client: TestClient, store: Store
) -> None:
    """The newest event is the crossing at 10:51:07."""
    write(
        store,
        anomaly(1),
        anomaly(2, rule="BOT_LIKE"),
        at(START - timedelta(minutes=50), 3),
        at(START - timedelta(minutes=50), 4, status="withdrawn"),
        at(START - timedelta(hours=2), 5),
    )
    assert get(client, "/anomalies/timeline", hours=1, bucket="30m") == {
        "as_of": "2014-04-07T10:51:07Z",
        "start": "2014-04-07T10:00:00Z",
        "end": "2014-04-07T11:00:00Z",
        "bucket_seconds": 1800,
        "bucket_starts": ["2014-04-07T10:00:00Z", "2014-04-07T10:30:00Z"],
        "totals": [1, 2],
        "series": [
            {"rule": "BOT_LIKE", "counts": [0, 1]},
            {"rule": "HIGH_FREQUENCY", "counts": [1, 1]},
        ],
    }


def test_the_timeline_of_another_moment(client: TestClient, store: Store) -> None:
    write(store, anomaly(1))
    found = get(client, "/anomalies/timeline", hours=24, as_of="2014-04-06T00:00:00Z")
    assert (len(found["totals"]), sum(found["totals"]), found["series"]) == (288, 0, [])


@pytest.mark.parametrize("as_of", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_the_timeline_at_the_ends_of_the_calendar(client: TestClient, as_of: str) -> None:
    found = get(client, "/anomalies/timeline", hours=8784, bucket="1d", as_of=as_of)
    assert sum(found["totals"]) == 0
