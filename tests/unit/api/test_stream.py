"""The stream of changes, over a real port."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import pytest

from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.store import Store
from tests.unit.api.test_anomalies import write
from tests.unit.store.samples import START, anomaly, at

Serve = Callable[[ApiConfig], str]


@dataclass
class Event:
    """One block of a stream."""

    id: int | None = None
    event: str | None = None
    data: str | None = None

    @property
    def number(self) -> int:
        return int(json.loads(self.data or "")["anomaly_id"], 16)


@contextmanager
def listening(url: str, last: int | None = None, query: str = "") -> Iterator[Iterator[Event]]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with httpx.stream("GET", f"{url}/anomalies/stream{query}", headers=headers, timeout=10) as got:
        assert got.status_code == 200
        assert got.headers["content-type"].startswith("text/event-stream")
        yield blocks(got.iter_lines())


def blocks(lines: Iterator[str]) -> Iterator[Event]:
    found = Event()
    for line in lines:
        if not line:
            yield found
            found = Event()
        elif line.startswith("id: "):
            found.id = int(line[4:])
        elif line.startswith("event: "):
            found.event = line[7:]
        elif line.startswith("data: "):
            found.data = line[6:]


def anomalies(events: Iterator[Event], count: int) -> list[Event]:
    found: list[Event] = []
    for event in events:
        if event.event == "anomaly":
            found.append(event)
        if len(found) == count:
            break
    return found


def test_a_new_anomaly_arrives_within_a_second(serving: str, store: Store) -> None:
    write(store, anomaly(1))
    with listening(serving) as events:
        next(events)
        began = time.monotonic()
        write(store, anomaly(2, session_id='line\nbreak "quoted"'))
        (found,) = anomalies(events, 1)
        assert time.monotonic() - began < 1
    told = json.loads(found.data or "")
    assert (found.number, told["session_id"]) == (2, 'line\nbreak "quoted"')
    assert told["change_id"] == found.id


def test_a_change_and_a_withdrawal_are_told_too(serving: str, store: Store) -> None:
    write(store, anomaly(1, status="open"))
    with listening(serving) as events:
        next(events)
        write(store, anomaly(1, event_count=61, status="open"))
        write(store, anomaly(1, status="withdrawn"))
        found = anomalies(events, 1)
        if json.loads(found[-1].data or "")["status"] != "withdrawn":
            found += anomalies(events, 1)
    assert json.loads(found[-1].data or "")["status"] == "withdrawn"


def test_it_resumes_after_the_last_event_that_came(serving: str, store: Store) -> None:
    write(store, *(at(START + timedelta(seconds=10 * n), n) for n in range(450)))
    with listening(serving, last=0) as events:
        first = anomalies(events, 120)
    write(store, anomaly(1000))
    with listening(serving, last=first[-1].id) as events:
        rest = anomalies(events, 331)
    assert sorted(event.number for event in first + rest) == [*range(450), 1000]
    ids = [event.id or 0 for event in first + rest]
    assert ids == sorted(set(ids))


def test_an_id_of_another_database_begins_now(serving: str, store: Store) -> None:
    with listening(serving, last=10**17) as events:
        next(events)
        write(store, anomaly(1))
        assert [event.number for event in anomalies(events, 1)] == [1]


def test_what_is_not_wanted_only_moves_the_place_on(serving: str, store: Store) -> None:
    with listening(serving, query="?rule=BOT_LIKE&severity=high") as events:
        begin = next(events)
        write(store, anomaly(1), anomaly(2, rule="BOT_LIKE", severity="low"))
        passed = next(event for event in events if event.id)
        assert passed.event is None
        assert (passed.id or 0) > (begin.id or 0)
        write(store, anomaly(3, rule="BOT_LIKE"))
        assert [event.number for event in anomalies(events, 1)] == [3]


def test_silence_is_broken_by_a_heartbeat(serving: str) -> None:
    with listening(serving) as events:
        next(events)
        began = time.monotonic()
        assert next(events) == Event()
        assert time.monotonic() - began < 2


def test_no_more_streams_than_may_be(serve: Serve, config: ApiConfig) -> None:
    url = serve(replace(config, most_streams=2))
    with ExitStack() as stack:
        streams = [stack.enter_context(listening(url)) for _ in range(2)]
        for events in streams:
            next(events)
        refused = httpx.get(f"{url}/anomalies/stream", timeout=5)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.headers["content-type"] == "application/problem+json"
    deadline = time.monotonic() + 5
    while "guardian_api_streams 0.0" not in httpx.get(f"{url}/metrics").text:
        assert time.monotonic() < deadline, "the places were not given back"
    with listening(url) as events:
        next(events)


def test_an_old_stream_ends(serve: Serve, config: ApiConfig) -> None:
    with listening(serve(replace(config, stream_seconds=0.5))) as events:
        assert len(list(events)) >= 1


def test_a_stream_lives_through_a_database_that_is_away(
    serving: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections are cut; the next change arrives all the same."""
    from sqlalchemy import text

    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'guardian-api' AND datname = current_database()"
    )
    with listening(serving) as events:
        next(events)
        _as_admin(store, str(cut))
        write(store, anomaly(7))
        assert [event.number for event in anomalies(events, 1)] == [7]


def _as_admin(store: Store, statement: str) -> None:
    """As the reader itself, whose connections they are."""
    import psycopg

    url = store.reader_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
