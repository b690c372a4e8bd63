"""Who may do what: the reader only reads what is served, whoever owns the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import make_url

from clickstream_guardian.settings import Settings
from clickstream_guardian.store.database import Store, open_store
from clickstream_guardian.store.embedded import EmbeddedServer
from clickstream_guardian.store.tables import SERVING_TABLES


@contextmanager
def connect(url: str) -> Iterator[psycopg.Connection]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        yield connection


def test_the_reader_reads_every_serving_table(store: Store) -> None:
    with connect(store.reader_url) as reader:
        for table in SERVING_TABLES:
            reader.execute(f"SELECT * FROM {table} LIMIT 1")


def test_the_reader_reads_nothing_else(store: Store) -> None:
    with connect(store.catalog_uri) as owner:
        owner.execute("CREATE TABLE iceberg_tables (metadata_location text)")
    with connect(store.reader_url) as reader:
        for table in ("iceberg_tables", "alembic_version", "pg_authid"):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(f"SELECT * FROM {table}")


def test_the_reader_writes_nothing_even_when_it_tries(store: Store) -> None:
    with connect(store.reader_url) as reader:
        with pytest.raises(errors.ReadOnlySqlTransaction):
            reader.execute("DELETE FROM daily_metrics")
        reader.execute("SET default_transaction_read_only = off")
        for statement in ("DELETE FROM daily_metrics", "CREATE TABLE mine (i integer)"):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(statement)


def test_the_owner_is_no_superuser(store: Store) -> None:
    with connect(store.catalog_uri) as owner:
        found = owner.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = user")
        assert found.fetchone() == (False,)


@pytest.fixture
def admin(postgres: EmbeddedServer) -> Iterator[psycopg.Connection]:
    with connect(postgres.admin_url) as connection:
        yield connection


@pytest.fixture
def shop(admin: psycopg.Connection, postgres: EmbeddedServer) -> Iterator[str]:
    """URL of an empty database whose owner may do nothing besides."""
    admin.execute("CREATE ROLE shop LOGIN PASSWORD 'shop'")
    admin.execute("CREATE DATABASE shop OWNER shop")
    yield postgres.url("shop", "shop", "shop")
    admin.execute("DROP DATABASE shop WITH (FORCE)")
    admin.execute("DROP ROLE shop")


def test_an_owner_that_may_make_no_roles_reads_in_read_only_sessions(
    shop: str, tmp_path: Path
) -> None:
    with open_store(Settings(home=tmp_path, database_url=shop)) as store:
        assert "GUARDIAN_DATABASE_READER_URL" in str(store.reader_note)
        assert "shop:shop" not in str(store.reader_note)
        with connect(store.reader_url) as reader:
            reader.execute("SELECT * FROM daily_metrics")
            with pytest.raises(errors.ReadOnlySqlTransaction):
                reader.execute("DELETE FROM daily_metrics")


def test_an_owner_that_may_make_roles_makes_the_reader(
    shop: str, admin: psycopg.Connection, tmp_path: Path
) -> None:
    admin.execute("ALTER ROLE guardian_reader RENAME TO kept")
    admin.execute("ALTER ROLE shop CREATEROLE")
    settings = Settings(home=tmp_path, database_url=shop)
    try:
        with open_store(settings) as first, open_store(settings) as second:
            assert (first.reader_note, second.reader_note) == (None, None)
            assert first.reader_url == second.reader_url
            with connect(first.reader_url) as reader:
                reader.execute("SELECT * FROM daily_metrics")
                with pytest.raises(errors.ReadOnlySqlTransaction):
                    reader.execute("DELETE FROM daily_metrics")
    finally:
        with connect(shop) as owner:
            owner.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM guardian_reader")
        admin.execute("DROP ROLE guardian_reader")
        admin.execute("ALTER ROLE kept RENAME TO guardian_reader")


def test_a_reader_that_is_there_already_keeps_its_password(
    shop: str, admin: psycopg.Connection, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    """The role is there already on this server, so its password is not ours to know or change."""
    admin.execute("ALTER ROLE shop CREATEROLE")
    with open_store(Settings(home=tmp_path, database_url=shop)) as store:
        assert store.reader_note is not None
    with connect(postgres.reader_url) as reader:
        reader.execute("SELECT 1")


def test_a_reader_that_an_admin_made_is_granted_and_used(
    shop: str, admin: psycopg.Connection, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    admin.execute("CREATE ROLE analyst LOGIN PASSWORD 'analyst'")
    analyst = postgres.url("analyst", "analyst", "shop")
    settings = Settings(home=tmp_path, database_url=shop, database_reader_url=analyst)
    try:
        with open_store(settings) as store:
            assert store.reader_note is None
            with connect(store.reader_url) as reader:
                reader.execute("SELECT * FROM anomaly_sessions")
                with pytest.raises(errors.InsufficientPrivilege):
                    reader.execute("SELECT * FROM alembic_version")
    finally:
        with connect(shop) as owner:
            owner.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM analyst")
        admin.execute("DROP ROLE analyst")
