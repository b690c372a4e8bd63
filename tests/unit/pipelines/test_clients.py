"""Users and networks on the allow-list: sessions are led back to them by the lake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import text

from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.lake.lake import Lake, open_lake
from clickstream_guardian.pipelines.clients import meet_clients
from clickstream_guardian.store import Store, upsert_anomalies
from clickstream_guardian.store.verdicts import judge_all, remove_allowed, save_allowed
from clickstream_guardian.verdicts import AllowEntry, AllowKind
from tests.unit.lake.rows import FILE, MIDNIGHT, clicks
from tests.unit.store.samples import at

_USERS = ["ann", None, "ann"]
_ADDRESSES = ["10.1.0.1", "10.1.0.2", "192.0.2.9"]


@pytest.fixture
def lake(store: Store, tmp_path: Path) -> Iterator[Lake]:
    """Sessions 0 to 2 with a click a second; 0 and 2 are Ann's, 0 and 1 of one network."""
    with open_lake(store.catalog_uri, tmp_path / "lake") as opened:
        land(opened, 0, 12, _USERS, _ADDRESSES)
        yield opened


@pytest.fixture
def engine(lake: Lake, tmp_path: Path) -> Iterator[DuckDbEngine]:
    with DuckDbEngine(lake, tmp_path / "tmp", threads=1) as opened:
        yield opened


def land(lake: Lake, first: int, count: int, users: list[str | None], ips: list[str]) -> None:
    rows = clicks(first, count)
    of = [int(name) for name in rows["session_id"].to_pylist()]
    for name, by_session in (("user_id", users), ("ip", ips)):
        column = pa.array([by_session[n] for n in of], pa.string())
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    lake.commit("clicks", lake.write_files("clicks", rows), {FILE: first + count}, {FILE: first})


def flag(store: Store, *sessions: str, after: timedelta = timedelta()) -> None:
    rows = [
        at(MIDNIGHT + after, int(name), session_id=name, first_crossed_at=MIDNIGHT + after)
        for name in sessions
    ]
    with store.begin() as connection:
        upsert_anomalies(connection, {"": rows})


def allow(store: Store, kind: AllowKind, value: str, until: datetime | None = None) -> None:
    with store.begin() as connection:
        save_allowed(connection, AllowEntry(kind, value, "ours", until))
        judge_all(connection, ())


def verdicts(store: Store) -> dict[str, str]:
    with store.begin() as connection:
        found = connection.execute(text("SELECT session_id, verdict FROM session_verdicts"))
        return {row[0]: row[1] for row in found}


def test_a_user_is_let_through_from_the_next_look_on(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    flag(store, "0", "1", "2")
    assert meet_clients(store, engine, ()) == 0, "no entry asks"
    allow(store, AllowKind.USER, "ann")
    assert verdicts(store) == {"0": "abusive", "1": "abusive", "2": "abusive"}
    assert meet_clients(store, engine, ()) == 3
    assert verdicts(store) == {"0": "clean", "1": "abusive", "2": "clean"}
    assert meet_clients(store, engine, ()) == 0, "all are known"


def test_known_sessions_are_judged_at_once_when_entries_come_and_go(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    flag(store, "0", "1", "2")
    allow(store, AllowKind.NETWORK, "198.51.100.0/24")
    meet_clients(store, engine, ())
    allow(store, AllowKind.NETWORK, "10.1.0.0/24")
    assert verdicts(store) == {"0": "clean", "1": "clean", "2": "abusive"}
    flag(store, "0", after=timedelta(hours=1))
    assert verdicts(store)["0"] == "clean", "whatever comes"
    with store.begin() as connection:
        remove_allowed(connection, AllowKind.NETWORK, "10.1.0.0/24")
        judge_all(connection, ())
    assert set(verdicts(store).values()) == {"abusive"}
    allow(store, AllowKind.USER, "ann", datetime.now(UTC) - timedelta(hours=1))
    assert set(verdicts(store).values()) == {"abusive"}


def test_a_session_is_looked_for_again_when_it_was_not_landed_or_is_flagged_again(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    flag(store, "0", "3")
    allow(store, AllowKind.USER, "bob")
    assert meet_clients(store, engine, ()) == 1
    land(lake, 12, 4, [*_USERS, "bob"], [*_ADDRESSES, "192.0.2.1"])
    assert meet_clients(store, engine, ()) == 1
    assert verdicts(store) == {"0": "abusive", "3": "clean"}
    flag(store, "0", after=timedelta(hours=1))
    assert meet_clients(store, engine, ()) == 1
