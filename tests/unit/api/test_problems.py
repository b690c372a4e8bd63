"""Every error is problem JSON."""

from __future__ import annotations

import logging

import pytest
from starlette.testclient import TestClient

from clickstream_guardian.api.app import create_app
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.models import Problem
from clickstream_guardian.store.read import Query, Reader, ReaderConfig, Row

NOWHERE = "postgresql+psycopg://nobody:secret@/guardian?host=/nonexistent"


def problem_of(client: TestClient, method: str, path: str) -> Problem:
    answer = client.request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate_json(answer.content)
    assert found.status == answer.status_code
    assert found.instance == path
    return found


def test_an_unknown_path_is_not_found(client: TestClient) -> None:
    assert problem_of(client, "GET", "/nothing/here").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_refused_with_the_right_one(client: TestClient, method: str) -> None:
    assert problem_of(client, method, "/anomalies").status == 405
    assert client.request(method, "/anomalies").headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/anomalies?limit=1", "/metrics", "/nowhere"])
def test_head_is_answered_like_get_without_the_body(client: TestClient, path: str) -> None:
    whole, head = client.get(path), client.head(path)
    assert head.status_code == whole.status_code
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.content == b""


def test_a_database_that_is_away_is_said_without_its_password() -> None:
    config = ApiConfig(ReaderConfig(NOWHERE, wait_seconds=0.2))
    with TestClient(create_app(config), base_url="http://localhost") as client:
        answer = client.get("/anomalies")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "secret" not in answer.text
        assert problem_of(client, "GET", "/health/ready").status == 503
        assert client.get("/health").status_code == 200
        assert "guardian_database_up 0.0" in client.get("/metrics").text


def test_a_surprise_is_a_problem_and_tells_nothing(
    config: ApiConfig, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Reader):
        async def rows(self, query: Query) -> list[Row]:
            raise RuntimeError("the secret inside")

    app = create_app(config, Broken(config.reader))
    with TestClient(app, base_url="http://localhost") as client, caplog.at_level(logging.ERROR):
        found = problem_of(client, "GET", "/anomalies/types")
        assert client.get("/anomalies/types").headers["x-content-type-options"] == "nosniff"
    assert (found.status, "secret" in found.detail) == (500, False)
    assert "the secret inside" in caplog.text
