"""What is told of Guardian itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from clickstream_guardian.store import Store, begin_source, finish_source, save_checkpoint
from clickstream_guardian.store.snapshots import (
    BatchOutcome,
    LakeSnapshot,
    LogEnd,
    save_batch_outcome,
    save_lake_snapshot,
    save_log_ends,
)
from clickstream_guardian.store.sources import SourceRecord
from tests.unit.api.metric_days import DAY, write_day
from tests.unit.store.samples import CHECKPOINT, POSITION, START

FILE = SourceRecord("abc", "click", "clicks.dat", 1_000, "time", START)


def status(client: TestClient) -> dict[str, Any]:
    answer = client.get("/status")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finish(store: Store) -> None:
    with store.begin() as connection:
        begin_source(connection, FILE)
        finish_source(
            connection,
            "abc",
            total_lines=15,
            event_count=12,
            rejected_by_reason={"bad_time": 2, "empty_item": 1},
            late_count=4,
        )


def test_an_empty_database_knows_nothing(client: TestClient) -> None:
    found = status(client)
    assert found["events"] == {
        "received": 0,
        "landed": None,
        "events": None,
        "duplicates": None,
        "rejected": 0,
        "rejected_by_reason": {},
        "late": 0,
    }
    assert found["batch"] == {
        "newest_dt": None,
        "day_count": 0,
        "last_finished_at": None,
        "dirty_days": None,
        "last_run": None,
    }
    assert (found["newest_event_at"], found["lag"], found["reconciliation"]) == (None,) * 3
    assert (found["positions"], found["sources"]) == ([], [])


def test_what_came_in_is_told_by_sources_and_days(client: TestClient, store: Store) -> None:
    """Of the day's 10 rows in the lake 8 are different events."""
    finish(store)
    write_day(store, DAY, {"a": (7, 1, "1")})
    found = status(client)
    assert found["events"] == {
        "received": 15,
        "landed": 10,
        "events": 8,
        "duplicates": 2,
        "rejected": 3,
        "rejected_by_reason": {"bad_time": 2, "empty_item": 1},
        "late": 4,
    }
    assert found["batch"]["newest_dt"] == "2014-04-07"
    assert [source["place"] for source in found["sources"]] == ["clicks.dat"]


@pytest.mark.parametrize(("landed", "balanced"), [(12, True), (11, False)])
def test_the_balance_is_that_of_the_lake(
    client: TestClient, store: Store, landed: int, balanced: bool
) -> None:
    finish(store)
    with store.begin() as connection:
        save_lake_snapshot(connection, LakeSnapshot(landed, 3, [DAY], difference=12 - landed))
    found = status(client)
    assert found["reconciliation"]["balanced"] is balanced
    assert found["reconciliation"]["difference"] == 12 - landed
    assert found["reconciliation"]["checked_at"] == found["batch"]["last_finished_at"]
    assert found["batch"]["dirty_days"] == ["2014-04-07"]
    assert found["events"]["landed"] == landed


def test_there_is_no_balance_while_a_source_is_read(client: TestClient, store: Store) -> None:
    finish(store)
    with store.begin() as connection:
        begin_source(connection, replace(FILE, source="next"))
        save_lake_snapshot(connection, LakeSnapshot(12, 3, []))
    assert status(client)["reconciliation"] is None


def test_a_live_log_has_no_balance_of_sources(client: TestClient, store: Store) -> None:
    with store.begin() as connection:
        save_lake_snapshot(connection, LakeSnapshot(98, 1, []))
    assert status(client)["reconciliation"] is None


def test_lag_is_known_where_the_end_of_the_log_is(client: TestClient, store: Store) -> None:
    positions = (
        replace(POSITION, source="topic", partition=0, next_offset=90),
        replace(POSITION, source="topic", partition=1, next_offset=50),
        replace(POSITION, source="read to its end", ended=True),
    )
    with store.begin() as connection:
        save_checkpoint(connection, replace(CHECKPOINT, positions=positions), 0)
        save_log_ends(connection, [LogEnd("topic", 0, 100)])
    found = status(client)
    lags = {(one["source"], one["partition"]): one["lag"] for one in found["positions"]}
    assert lags == {("topic", 0): 10, ("topic", 1): None, ("read to its end", 0): 0}
    assert found["lag"] == 10


def test_ready_tells_how_fresh_the_content_is(client: TestClient, store: Store) -> None:
    assert client.get("/health/ready").json() == {
        "status": "ready",
        "newest_event_at": None,
        "last_written_at": None,
        "last_written_seconds": None,
    }
    newest = replace(POSITION, resume_max_at=START + timedelta(seconds=1))
    with store.begin() as connection:
        save_checkpoint(connection, replace(CHECKPOINT, positions=(newest,)), 0)
    found = client.get("/health/ready").json()
    assert found["newest_event_at"] == "2014-04-07T10:51:01.000000Z"
    assert 0 <= found["last_written_seconds"] < 60


def test_prometheus_can_read_the_metrics(client: TestClient, store: Store) -> None:
    finish(store)
    client.get("/anomalies/42")
    client.get("/anomalies/43")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    requests = ("guardian_api_requests_total", "GET", "/anomalies/{session_id}", "404")
    assert samples[requests] == 2
    assert samples[("guardian_events_received",)] == 15
    assert samples[("guardian_database_up",)] == 1
    assert ("guardian_api_connections", "open") in samples


def test_a_route_that_is_none_is_counted_under_one_name(client: TestClient) -> None:
    for path in ("/x", "/y"):
        client.get(path)
    found = client.get("/metrics").text
    assert 'guardian_api_requests_total{method="GET",route="other",status="404"} 2.0' in found


def test_the_welcome_leads_on(client: TestClient) -> None:
    for path in client.get("/").json()["links"].values():
        assert client.get(path).status_code == 200


def test_swagger_comes_from_here_alone(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype", "")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        assert f"/docs/{name}" in page.text
        assert client.get(f"/docs/{name}").status_code == 200
    assert client.get("/docs/other.js").status_code == 404
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_the_last_batch_is_told_to_people_and_to_prometheus(
    client: TestClient, store: Store
) -> None:
    with store.begin() as connection:
        save_batch_outcome(connection, BatchOutcome(41.7, 2, "/home/of/someone is full"))
    run = status(client)["batch"]["last_run"]
    assert (run["failed"], run["seconds"], run["day_count"]) == (True, 41.7, 2)
    assert "someone" not in str(run)
    lines = client.get("/metrics").text.splitlines()
    assert {"guardian_batch_failed 1.0", "guardian_batch_seconds 41.7"} <= set(lines)
