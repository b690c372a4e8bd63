"""At a million anomalies every statement of every route goes by an index."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from bench.serving import RICH_SESSIONS, Size, fill, last_day
from sqlalchemy import make_url

from clickstream_guardian.api.app import create_app
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.store.embedded import EmbeddedServer
from clickstream_guardian.store.read import SESSION_SETTINGS, Query, Reader, ReaderConfig, Row

SIZE = Size(anomalies=1_000_000, days=60, items=4_000, categories=100)
DAY = str(last_day(SIZE))
PAST = DAY[:-2] + "10"
LARGE = (
    "anomaly_sessions",
    "session_verdicts",
    "rule_sessions",
    "item_daily",
    "popular_categories",
)
PATHS = [
    "/anomalies",
    "/anomalies?rule=BOT_LIKE",
    "/anomalies?severity=high&limit=1000",
    "/anomalies?rule=HIGH_FREQUENCY&severity=high",
    f"/anomalies?session_id={1_000_000 + RICH_SESSIONS}",
    "/anomalies?status=withdrawn",
    "/anomalies?status=open",
    f"/anomalies?since={PAST}&until={DAY}",
    "/anomalies?cursor=AAT2uYcSJwALTn-9OgybW7VS9s9rDxwt",
    "/anomalies/types",
    "/anomalies/timeline",
    "/anomalies/1000777",
    "/sessions/1000777",
    "/decisions",
    "/decisions?action=block&format=list",
    "/metrics/daily",
    f"/metrics/daily?start_date={PAST}&end_date={DAY}",
    f"/metrics/daily/{DAY}",
    f"/metrics/funnel/{DAY}",
    "/metrics/summary",
    f"/metrics/restatements?start_date={PAST}&end_date={DAY}",
    "/metrics/restatements?cursor=100",
    f"/items/popular/{DAY}",
    f"/items/popular/{DAY}?by=purchases",
    f"/items/popular/{DAY}?by=revenue&limit=100",
    f"/items/categories/{DAY}",
    "/metrics/daily?view=clean",
    f"/metrics/daily/{DAY}?view=delta",
    f"/metrics/funnel/{DAY}?view=delta",
    "/metrics/summary?view=delta",
    f"/items/popular/{DAY}?view=clean",
    f"/items/popular/{DAY}?view=delta",
    f"/items/categories/{DAY}?view=clean",
    "/items/trending",
    f"/items/trending?date={PAST}&limit=100",
    "/health/ready",
    "/status",
    "/metrics",
]
NO_DATABASE = {"/", "/health"}


class Recorder(Reader):
    """Remembers what it was asked."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__(config)
        self.asked: list[Query] = []

    async def rows(self, query: Query) -> list[Row]:
        self.asked.append(query)
        return await super().rows(query)


@pytest.fixture(scope="module")
def million(postgres: EmbeddedServer) -> Iterator[str]:
    """URL of the reader in a database as large as serving must bear."""
    name = f"million_{uuid.uuid4().hex[:8]}"
    admin = _plain(postgres.admin_url, "template1")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE {name} TEMPLATE "guardian" OWNER guardian')
    fill(_plain(postgres.owner_url, name), SIZE)
    yield make_url(postgres.reader_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _plain(url: str, database: str) -> str:
    made = make_url(url).set(drivername="postgresql", database=database)
    return made.render_as_string(hide_password=False)


async def _ask_all(recorder: Recorder) -> dict[str, list[Query]]:
    """What the database is asked for each path."""
    app = create_app(ApiConfig(recorder.config), recorder)
    transport = httpx.ASGITransport(app)
    found = {}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        for path in PATHS:
            recorder.asked.clear()
            answer = await client.get(path)
            assert answer.status_code == 200, (path, answer.text)
            found[path] = list(recorder.asked)
    return found


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan that read a table and are ever run."""
    if "Relation Name" in plan or "Index Name" in plan:
        yield plan
    for child in plan.get("Plans", ()):
        yield from scans(child)


def test_every_route_goes_by_an_index_at_a_million_rows(million: str) -> None:
    asked = asyncio.run(_ask_all(Recorder(ReaderConfig(million))))
    for path, queries in asked.items():
        assert queries, path
        indexes = 0
        for query in queries:
            for scan in _plan(million, query):
                indexes += "Index Name" in scan
                table = scan.get("Relation Name", "")
                in_order = scan["Node Type"] == "Seq Scan" and table.startswith(LARGE)
                assert not in_order, f"{path} reads the whole of {table}"
        assert indexes, f"{path} uses no index"


def _reader(url: str) -> psycopg.Connection:
    """A session as those of the API are."""
    reader = psycopg.connect(_plain(url, make_url(url).database or ""))
    for name, value in SESSION_SETTINGS.items():
        reader.execute("SELECT set_config(%s, %s, false)", (name, value), prepare=False)
    return reader


def _plan(million: str, query: Query) -> list[dict[str, Any]]:
    """The scans of the plan that a session of the API keeps for a statement."""
    names = dict.fromkeys(re.findall(r"%\((\w+)\)s", query.sql))
    values = f"({', '.join(f'%({name})s' for name in names)})" if names else ""
    with _reader(million) as reader:
        reader.execute(query.sql, query.values, prepare=True)
        (kept,) = reader.execute("SELECT name FROM pg_prepared_statements").fetchall()
        explain = f"EXPLAIN (FORMAT JSON) EXECUTE {kept[0]}{values}"
        found = psycopg.ClientCursor(reader).execute(explain, query.values).fetchone()
    assert found is not None
    plan = found[0] if isinstance(found[0], list) else json.loads(found[0])
    return list(scans(plan[0]["Plan"]))


def test_no_path_of_the_document_is_left_out() -> None:
    paths = create_app(ApiConfig(ReaderConfig("postgresql://u@/d"))).openapi()["paths"]
    asked = {path.partition("?")[0].replace(DAY, "{date}") for path in PATHS}
    asked = {path.replace("/anomalies/1000777", "/anomalies/{session_id}") for path in asked}
    asked = {path.replace("/sessions/1000777", "/sessions/{session_id}") for path in asked}
    assert set(paths) == asked | NO_DATABASE | {"/anomalies/stream"}


def test_the_stream_goes_by_an_index_too(million: str) -> None:
    from clickstream_guardian.store.read_anomalies import changes, newest_change

    for query in (newest_change(), changes(999_900, 200)):
        nodes = _plan(million, query)
        assert {node["Node Type"] for node in nodes} <= {"Index Scan", "Index Only Scan"}
