"""What a request may say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from clickstream_guardian.api.parameters import read_cursor, write_cursor


@pytest.mark.parametrize(
    "at",
    [
        datetime(2014, 4, 7, 10, 51, 9, 277001, UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    ],
)
def test_a_cursor_is_read_as_it_was_written(at: datetime) -> None:
    after = read_cursor(write_cursor(at, "0123456789abcdef" * 2))
    assert after is not None
    assert (after.window_start, after.anomaly_id) == (at, "0123456789abcdef" * 2)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/anomalies?limit=0", "limit"),
        ("/anomalies?limit=1001", "limit"),
        ("/anomalies?limit=ten", "limit"),
        ("/anomalies?severity=HIGH", "severity"),
        ("/anomalies?status=closed", "status"),
        ("/anomalies?since=yesterday", "since"),
        ("/anomalies?since=1396310400", "since"),
        ("/anomalies?since=2014-04-07T10:00:00", "since"),
        ("/anomalies?since=2014-04-07T25:00:00Z", "since"),
        ("/anomalies?since=2014-04-31", "since"),
        ("/anomalies?cursor=abc", "cursor"),
        ("/anomalies?session_id=", "session_id"),
        ("/anomalies?session_id=%00", "session_id"),
        (f"/anomalies?rule={'r' * 201}", "rule"),
        ("/anomalies?limits=5", "limits"),
        ("/anomalies/", "session_id"),
        ("/anomalies/a%00b", "session_id"),
        (f"/anomalies/{'s' * 513}", "session_id"),
        ("/anomalies/42?limit=101", "limit"),
        ("/anomalies/types?rule=X", "rule"),
        ("/anomalies/timeline?hours=0", "hours"),
        ("/anomalies/timeline?hours=8785", "hours"),
        ("/anomalies/timeline?bucket=7m", "bucket"),
        ("/metrics/daily/today", "date"),
        ("/metrics/daily/2014-02-30", "date"),
        ("/metrics/daily/20140407", "date"),
        ("/metrics/daily?start_date=0", "start_date"),
        ("/metrics/summary?days=367", "days"),
        ("/items/popular/2014-04-07?by=views", "by"),
        ("/items/popular/2014-04-07?limit=101", "limit"),
        ("/items/trending?date=soon", "date"),
        ("/health?x=1", "x"),
    ],
)
def test_a_value_that_does_not_fit_is_named(client: TestClient, path: str, name: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["name"] for error in answer.json()["errors"]] == [name]
    assert answer.json()["detail"].startswith(f"{name}: ")


def test_a_stream_wants_a_number_to_resume_from(client: TestClient) -> None:
    answer = client.get("/anomalies/stream", headers={"Last-Event-ID": "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "header"
