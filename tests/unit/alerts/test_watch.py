"""Watching a real database: a runaway session is one alert, whatever dies or is away meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from clickstream_guardian.alerts.conditions import Thresholds
from clickstream_guardian.alerts.deliver import Delivery, open_channels
from clickstream_guardian.alerts.model import Policy
from clickstream_guardian.alerts.watch import Watch
from clickstream_guardian.rules.model import Severity
from clickstream_guardian.store import Store, upsert_anomalies
from clickstream_guardian.store.alerts import AlertRow, SilenceRow, list_alerts, save_silence
from clickstream_guardian.store.database import written
from clickstream_guardian.store.embedded import EmbeddedServer
from tests.unit.store.samples import START, at

from .servers import webhook

POLICY = Policy(Severity.HIGH, timedelta(minutes=15), settling=timedelta())


def watch(
    store: Store,
    folder: Path,
    url: str = "",
    services: Mapping[str, str | None] | None = None,
) -> Watch:
    delivery = Delivery(open_channels(url), folder / "alerts.jsonl", wait=lambda _: None)
    return Watch(store, delivery, lambda: services or {}, POLICY, Thresholds())


def find(store: Store, first: int, count: int, session: str = "77") -> None:
    """So many anomalies of a session, one window after the other."""
    found = [
        at(START + timedelta(seconds=10 * number), number + 1000 * int(session), session_id=session)
        for number in range(first, first + count)
    ]
    with store.begin() as connection:
        upsert_anomalies(connection, {"": found})


def history(store: Store) -> list[AlertRow]:
    with store.begin() as connection:
        return [row for _, row in reversed(list_alerts(connection, 100))]


def test_a_runaway_session_is_one_alert_with_a_count(store: Store, tmp_path: Path) -> None:
    with webhook() as hook:
        watching = watch(store, tmp_path, hook.url)
        watching.round()
        for first in range(0, 300, 100):
            find(store, first, 100)
            watching.round()
    assert hook.taken == ["[high] HIGH_FREQUENCY session 77"]
    [row] = history(store)
    assert (row.source, row.key, row.count, row.outcome) == ("anomaly", "77", 100, "delivered")


def test_what_was_found_before_the_first_watch_is_not_told(store: Store, tmp_path: Path) -> None:
    find(store, 0, 3)
    assert watch(store, tmp_path).round() == []


def test_after_the_cooldown_the_rest_is_told_by_its_count(store: Store, tmp_path: Path) -> None:
    watching = watch(store, tmp_path)
    watching.round()
    find(store, 0, 1)
    watching.round()
    find(store, 1, 99)
    assert watching.round() == []
    [(about, told)] = watching._told.items()
    watching._told[about] = replace(told, at=told.at - POLICY.cooldown)
    [again] = watching.round()
    assert (again.concern.count, again.added) == (100, 99)


def test_a_new_watch_goes_on_where_the_last_one_was_killed(store: Store, tmp_path: Path) -> None:
    watch(store, tmp_path).round()
    find(store, 0, 2)
    assert len(watch(store, tmp_path).round()) == 1
    assert watch(store, tmp_path).round() == []
    find(store, 0, 1, session="78")
    [told] = watch(store, tmp_path).round()
    assert told.concern.about.key == "78"


def test_what_was_kept_and_not_delivered_goes_out_at_the_next_start(
    store: Store, tmp_path: Path
) -> None:
    watching = watch(store, tmp_path)
    watching.round()
    find(store, 0, 1)
    watching._tell = lambda *_: None  # type: ignore[method-assign]  # killed before step 3
    watching.round()
    assert [row.outcome for row in history(store)] == ["pending"]
    with webhook() as hook:
        after = watch(store, tmp_path, hook.url)
        assert (after.begin(), after.round(), len(hook.taken)) == (1, [], 1)
    assert [row.outcome for row in history(store)] == ["delivered"]


def test_a_silenced_rule_is_kept_and_told_to_nobody(store: Store, tmp_path: Path) -> None:
    with store.begin() as connection:
        until = connection.scalar(text("SELECT now() + interval '1 hour'"))
        save_silence(connection, SilenceRow("HIGH_FREQUENCY", None, until))
    with webhook() as hook:
        watching = watch(store, tmp_path, hook.url)
        watching.round()
        find(store, 0, 1)
        watching.round()
    assert (hook.asked, [row.outcome for row in history(store)]) == (0, ["silenced"])


def test_a_server_that_is_down_is_told_and_told_when_it_is_over(
    store: Store, tmp_path: Path
) -> None:
    services: dict[str, str | None] = {"kafka-1": "NOT READY"}
    watching = watch(store, tmp_path, services=services)
    watching.round()
    services["kafka-1"] = None
    watching.round()
    assert [(row.key, row.state) for row in history(store)] == [
        ("kafka-1", "new"),
        ("kafka-1", "over"),
    ]


def test_a_database_that_is_away_is_told_and_enters_the_history_later(
    store: Store, tmp_path: Path, database: str, postgres_admin: psycopg.Connection
) -> None:
    with webhook() as hook:
        watching = watch(store, tmp_path, hook.url)
        watching.round()
        find(store, 0, 1)
        postgres_admin.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        postgres_admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
        )
        watching.round()
        assert hook.taken == ["[critical] service database"]
        postgres_admin.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        watching.round()
    told = [(row.rule, row.state, row.outcome) for row in history(store)]
    assert told == [
        ("service", "new", "delivered"),
        ("service", "over", "delivered"),
        ("HIGH_FREQUENCY", "new", "delivered"),
    ]


@pytest.fixture
def postgres_admin(postgres: EmbeddedServer) -> Iterator[psycopg.Connection]:
    url = make_url(postgres.admin_url).set(drivername="postgresql", database="template1")
    with psycopg.connect(written(url), autocommit=True) as admin:
        yield admin
