"""The server: its port, its bounds, its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import httpx
import psutil
import psycopg
import pytest
from psycopg import errors

from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.server import running, url_of
from clickstream_guardian.errors import UsageError
from clickstream_guardian.store import Store
from tests.unit.api.test_anomalies import write
from tests.unit.store.samples import anomaly

Serve = Callable[[ApiConfig], str]


def test_it_answers_where_it_says(serving: str) -> None:
    assert httpx.get(f"{serving}/health/ready").json()["status"] == "ready"


def test_a_taken_port_is_said_in_a_sentence(config: ApiConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = replace(config, port=other.getsockname()[1])
        with pytest.raises(UsageError, match="GUARDIAN_API_PORT"), running(taken):
            pass


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")])
def test_the_link_can_be_opened_from_here(host: str, shown: str) -> None:
    with socket.create_server((host, 0)) as listening:
        assert url_of(listening) == f"http://{shown}:{listening.getsockname()[1]}"


def test_the_answer_names_no_server_and_carries_its_guards(serving: str) -> None:
    answer = httpx.get(f"{serving}/anomalies", headers={"Origin": "http://elsewhere"})
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_write_by_the_readers_role_is_refused_by_the_database(store: Store) -> None:
    """The API connects as this role and no other."""
    write(store, anomaly(1))
    url = store.reader_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for statement in (
            "DELETE FROM anomaly_sessions",
            "UPDATE daily_metrics SET total_clicks = 0",
            "INSERT INTO api_keys (key_id, name, key_hash) VALUES ('x', 'x', '')",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)


def _lock_anomalies(store: Store) -> psycopg.Connection:
    """A connection that holds every reader of anomalies up until it is closed."""
    holder = psycopg.connect(store.catalog_uri.replace("+psycopg", ""))
    holder.execute("LOCK TABLE anomaly_sessions IN ACCESS EXCLUSIVE MODE")
    return holder


def test_past_the_pool_it_refuses_instead_of_hanging(
    serve: Serve, config: ApiConfig, store: Store
) -> None:
    """One connection is held up, one caller may wait for it: the others hear so at once."""
    reader = replace(
        config.reader, connections=1, most_waiting=1, wait_seconds=1.0, statement_seconds=10
    )
    url = serve(replace(config, reader=reader))
    with _lock_anomalies(store) as holder, ThreadPoolExecutor(8) as callers:
        began = time.monotonic()
        asked = [callers.submit(httpx.get, f"{url}/anomalies", timeout=20) for _ in range(8)]
        while sum(one.done() for one in asked) < 7:
            assert time.monotonic() - began < 5
            time.sleep(0.05)
        holder.rollback()
        answers = [one.result() for one in asked]
    assert sorted(answer.status_code for answer in answers) == [200, *[503] * 7]
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_statement_that_takes_too_long_is_ended(
    serve: Serve, config: ApiConfig, store: Store
) -> None:
    url = serve(replace(config, reader=replace(config.reader, statement_seconds=0.2)))
    with _lock_anomalies(store):
        answer = httpx.get(f"{url}/anomalies", timeout=10)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert httpx.get(f"{url}/anomalies").status_code == 200


def test_it_finds_the_database_again(serving: str, store: Store) -> None:
    """Every connection is cut: each costs one answer at most."""
    assert httpx.get(f"{serving}/anomalies").status_code == 200
    url = store.reader_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'guardian-api' AND datname = current_database()"
        )
    statuses = [httpx.get(f"{serving}/anomalies").status_code for _ in range(12)]
    assert statuses[-1] == 200
    assert set(statuses) <= {200, 503}


@contextmanager
def _frozen(store: Store) -> Iterator[None]:
    """Every process of the database is stopped: connections stay, nothing answers."""
    with psycopg.connect(store.reader_url.replace("+psycopg", "")) as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
    assert server is not None
    stopped = [server, *server.children(recursive=True)]
    try:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):  # of a connection that has ended meanwhile
                process.suspend()
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def test_a_database_that_hangs_holds_nobody_up(
    serve: Serve, config: ApiConfig, store: Store
) -> None:
    url = serve(replace(config, reader=replace(config.reader, silence_seconds=0.3)))
    known = httpx.get(f"{url}/anomalies")
    assert known.status_code == 200
    with _frozen(store):
        stale = httpx.get(f"{url}/anomalies", timeout=20)
        with ThreadPoolExecutor(12) as callers:
            fresh = list(
                callers.map(
                    lambda n: httpx.get(f"{url}/anomalies?limit={n}", timeout=20), range(1, 13)
                )
            )
    assert (stale.status_code, stale.content) == (200, known.content)
    assert "stale" in stale.headers["cache-status"]
    assert {answer.status_code for answer in fresh} == {503}
    while httpx.get(f"{url}/anomalies", timeout=20).headers.get("cache-status"):
        time.sleep(0.1)
    assert httpx.get(f"{url}/anomalies?limit=3").status_code == 200


PROGRAM = """
import sys
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.server import serve
from clickstream_guardian.store.read import ReaderConfig
serve(ApiConfig(ReaderConfig(sys.argv[1]), port=0), lambda url: print(url, flush=True))
print("tidy", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_streams_and_all(store: Store, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, store.reader_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with httpx.stream("GET", f"{url}/anomalies/stream", timeout=10) as stream:
            lines = stream.iter_lines()
            next(lines)
            process.send_signal(number)
            began = time.monotonic()
            list(lines)
        out, err = process.communicate(timeout=10)
        assert (out, err, process.returncode) == ("tidy\n", "", 0)
        assert time.monotonic() - began < 8  # not by the end of patience, which is 10 s
