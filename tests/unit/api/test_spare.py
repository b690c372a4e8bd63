"""The last answer is given again while the database is away, marked, and not for long."""

from __future__ import annotations

from starlette.testclient import TestClient

from clickstream_guardian.api.app import create_app
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.spare import KEPT_SECONDS, MOST_BYTES, SpareAnswers
from clickstream_guardian.store.read import Query, Reader, Row, UnreachableError


class Leaving(Reader):
    """A database that can be away."""

    away = False

    async def rows(self, query: Query) -> list[Row]:
        if self.away:
            raise UnreachableError("away")
        return await super().rows(query)


def test_what_was_answered_before_is_answered_again_and_marked(config: ApiConfig) -> None:
    reader = Leaving(config.reader)
    with TestClient(create_app(config, reader), base_url="http://localhost") as api:
        fresh = api.get("/anomalies?limit=5")
        never = ("/health/ready", "/status", "/decisions")
        assert {api.get(path).status_code for path in never} == {fresh.status_code} == {200}
        assert "cache-status" not in fresh.headers
        reader.away = True
        stale = api.get("/anomalies?limit=5")
        assert (stale.status_code, stale.content) == (200, fresh.content)
        assert stale.headers["content-type"] == fresh.headers["content-type"]
        assert stale.headers["cache-control"] == "no-store"
        assert stale.headers["cache-status"].startswith("guardian; hit; ttl=-")
        assert int(stale.headers["age"]) >= 0
        for path in (*never, "/anomalies?limit=6"):
            answer = api.get(path)
            assert answer.status_code == 503, path
            assert answer.headers["content-type"] == "application/problem+json"


def test_an_answer_too_old_is_none() -> None:
    now = [0.0]
    spare = SpareAnswers(lambda: now[0])
    spare.keep("/a?", b"{}", "application/json")
    now[0] = KEPT_SECONDS
    found = spare.find("/a?")
    assert found is not None
    assert found.headers["age"] == str(int(KEPT_SECONDS))
    now[0] += 0.1
    assert spare.find("/a?") is None
    assert spare.find("/b?") is None


def test_they_take_no_more_room_than_they_may_and_the_oldest_goes_first() -> None:
    spare = SpareAnswers()
    body = b"x" * (MOST_BYTES >> 5)
    for number in range(33):
        spare.keep(f"/{number}", body, "text/plain")
    assert [spare.find(f"/{n}") is None for n in (0, 1, 32)] == [True, False, False]
    spare.keep("/1", body + b"x", "text/plain")
    assert spare.find("/1") is None
