"""Keys and rates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from starlette.testclient import TestClient

from clickstream_guardian.api import gate
from clickstream_guardian.api.app import create_app
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.gate import KeyRing, TokenBucket
from clickstream_guardian.store import Store
from clickstream_guardian.store.keys import create_key, hash_key, revoke_key
from clickstream_guardian.store.read import Reader, UnreachableError


@pytest.fixture
def locked(config: ApiConfig) -> Iterator[TestClient]:
    app = create_app(replace(config, keys_required=True, requests_per_second=0.5, burst=3))
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def secret(store: Store) -> str:
    with store.begin() as connection:
        return create_key(connection, "dashboard").secret


@pytest.mark.parametrize(
    ("host", "required"),
    [
        ("127.0.0.1", False),
        ("127.0.0.2", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.168.1.5", True),
        ("api.example.com", True),
    ],
)
def test_keys_are_required_as_soon_as_others_can_reach_the_port(
    config: ApiConfig, host: str, required: bool
) -> None:
    assert replace(config, host=host).keys_required is required
    assert replace(config, host=host, keys_required=True).keys_required


def test_a_working_key_opens(locked: TestClient, secret: str) -> None:
    assert locked.get("/anomalies", headers=bearer(secret)).status_code == 200


@pytest.mark.parametrize("given", ["", "nonsense", "gk_00000000_x", "gk__", "Bearer", "ü"])
def test_anything_else_does_not(locked: TestClient, secret: str, given: str) -> None:
    for path in ("/anomalies", "/metrics", "/nothing"):
        answer = locked.get(path, headers={"Authorization": f"Bearer {given}".encode()})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_right_id_with_another_secret_does_not_open(locked: TestClient, secret: str) -> None:
    wrong = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    assert locked.get("/anomalies", headers=bearer(wrong)).status_code == 401


def test_health_and_documentation_stay_open(locked: TestClient) -> None:
    for path in ("/", "/health", "/health/ready", "/docs", "/docs/start.js", "/openapi.json"):
        assert locked.get(path).status_code == 200


def test_a_revoked_key_soon_stops_to_work(
    locked: TestClient, store: Store, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locked.get("/anomalies", headers=bearer(secret)).status_code == 200
    with store.begin() as connection:
        revoke_key(connection, secret.split("_")[1])
    monkeypatch.setattr(gate, "KEPT_SECONDS", 0.0)
    assert locked.get("/anomalies", headers=bearer(secret)).status_code == 401


def test_a_key_made_later_works_at_once(
    locked: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locked.get("/anomalies").status_code == 401
    monkeypatch.setattr(gate, "_LOOK_AGAIN_SECONDS", 0.0)
    with store.begin() as connection:
        late = create_key(connection, "late").secret
    assert locked.get("/anomalies", headers=bearer(late)).status_code == 200


def test_each_key_has_a_rate_of_its_own(locked: TestClient, store: Store, secret: str) -> None:
    with store.begin() as connection:
        other = create_key(connection, "other").secret
    statuses = [locked.get("/anomalies", headers=bearer(secret)).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = locked.get("/anomalies", headers=bearer(secret))
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert locked.get("/anomalies", headers=bearer(other)).status_code == 200


def test_a_bucket_fills_with_time_up_to_its_burst() -> None:
    bucket = TokenBucket(rate=2, burst=3, tokens=3, at=0)
    assert [bucket.wait(0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.wait(0.25) == 0.25
    assert bucket.wait(0.5) == 0
    assert [bucket.wait(100) for _ in range(4)] == [0, 0, 0, 0.5]


def test_keys_that_cannot_be_read_are_no_reason_to_open() -> None:
    from clickstream_guardian.store.read import ReaderConfig

    away = ReaderConfig("postgresql+psycopg://u@/d?host=/nonexistent", wait_seconds=0.2)
    with TestClient(create_app(ApiConfig(away, keys_required=True))) as client:
        answer = client.get("/anomalies", headers=bearer("gk_00000000_x"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


class Keys:
    """The store of keys as its reader sees it."""

    def __init__(self) -> None:
        self.hashes = {"1": hash_key("gk_1_x")}
        self.error: Exception | None = None
        self.reads = 0

    async def rows(self, _query: object) -> list[tuple[str, bytes]]:
        self.reads += 1
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        return list(self.hashes.items())


def test_while_the_database_is_away_a_key_that_worked_goes_on_for_a_while() -> None:
    keys, now = Keys(), 0.0
    ring = KeyRing(cast("Reader", keys), lambda: now)
    assert asyncio.run(ring.owner("gk_1_x")) == "1"
    keys.error, now = UnreachableError("away"), 60.0
    assert asyncio.run(ring.owner("gk_1_x")) == "1"
    with pytest.raises(UnreachableError):
        asyncio.run(ring.owner("gk_1_y"))
    now = 65.0
    with pytest.raises(UnreachableError):
        asyncio.run(ring.owner("gk_1_x"))
    keys.error, keys.hashes = None, {}
    assert asyncio.run(ring.owner("gk_1_x")) is None


def test_nobody_waits_for_more_than_one_reading_of_the_keys() -> None:
    keys = Keys()
    keys.error = UnreachableError("away")
    ring = KeyRing(cast("Reader", keys))

    async def ask() -> list[str | BaseException | None]:
        answers = [ring.owner("gk_1_x") for _ in range(50)]
        return await asyncio.gather(*answers, return_exceptions=True)

    found = asyncio.run(ask())
    assert all(isinstance(one, UnreachableError) for one in found)
    assert keys.reads == 1
