"""What goes wrong with the database is said in one sentence, and what is a bug stays one."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.store.database import Store, open_store
from clickstream_guardian.store.driver import driver_connection

FULL = "DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$"


def test_disk_full_says_to_make_room(store: Store) -> None:
    with pytest.raises(GuardianError, match=r"disk .* is full: make room"), store.begin() as c:
        c.execute(text(FULL))


def test_disk_full_below_the_driver_is_told_the_same(store: Store) -> None:
    with pytest.raises(GuardianError, match=r"disk .* is full: make room"), store.begin() as c:
        driver_connection(c).execute(FULL)


def test_a_lost_connection_says_what_to_do(store: Store) -> None:
    end = text("SELECT pg_terminate_backend(pg_backend_pid())")
    with (
        pytest.raises(GuardianError, match="nothing that was committed is lost"),
        store.begin() as c,
    ):
        c.execute(end)
    with store.begin() as connection:  # and the next use has a fresh one
        connection.execute(text("SELECT 1"))


def test_a_wrong_statement_stays_a_programming_error(store: Store) -> None:
    with pytest.raises(ProgrammingError), store.begin() as connection:
        connection.execute(text("SELECT no_such_column"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://127.0.0.1:1/none", "cannot be reached"),
        ("postgresql:///none?host=/nowhere", "cannot be reached"),
    ],
)
def test_no_server_there(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(GuardianError, match=said):
        open_store(Settings(home=tmp_path, database_url=url))


def test_a_database_that_is_not_there(store: Store, tmp_path: Path) -> None:
    url = store.engine.url.set(database="none").render_as_string(hide_password=False)
    with pytest.raises(GuardianError, match=r"refuses .*\"none\" does not exist"):
        open_store(Settings(home=tmp_path, database_url=url))


def test_a_wrong_password_is_not_shown(store: Store, tmp_path: Path) -> None:
    url = store.engine.url.set(password="secret-word").render_as_string(hide_password=False)
    with pytest.raises(
        GuardianError, match=r"refuses the connection .*authentication failed.*check DATABASE_URL"
    ) as caught:
        open_store(Settings(home=tmp_path, database_url=url))
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://root@host/shop", "sqlite:///x", "no url"])
def test_only_postgresql_is_served(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="give postgresql://"):
        open_store(Settings(home=tmp_path, database_url=url))


def test_a_user_without_rights_is_told_which(store: Store, reader_url: str, tmp_path: Path) -> None:
    with store.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    writing = f"{reader_url}&options=-cdefault_transaction_read_only%3Doff"
    with pytest.raises(GuardianError, match="grant it CREATE on the schema public"):
        open_store(Settings(home=tmp_path, database_url=writing))
