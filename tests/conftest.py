"""Fixtures for every test: a real PostgreSQL, and homes that the embedded one can live in.

``home``       a fresh, absolute folder to use as GUARDIAN_HOME, removed afterwards. Use it, not
               ``tmp_path``, wherever the embedded database starts: as root, pytest's private
               folders make the data go to /var/lib and stay there.
``store_url``  URL (owner role) of a fresh database at the newest revision, empty, a few
               milliseconds to make; it also serves as ``catalog_uri`` of a lake.
``reader_url`` URL of the role guardian_reader in the same database.
``store``      an open ``Store`` on it.
``postgres``   the session's server itself (``admin_url`` makes databases); durability is off.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import psycopg
import pytest
from sqlalchemy import make_url

from clickstream_guardian.pipelines.replay import Parts
from clickstream_guardian.settings import Settings
from clickstream_guardian.store.database import Store, open_store, written
from clickstream_guardian.store.embedded import EmbeddedServer, start_server

hypothesis.settings.register_profile("untimed", deadline=None)  # a slow machine fails no test
hypothesis.settings.load_profile("untimed")

_TEMPLATE = "guardian"
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def make_home() -> Path:
    """A folder that every user can enter, under a short path."""
    path = Path(tempfile.mkdtemp(prefix="gh-", dir="/tmp")).resolve()
    path.chmod(0o755)
    return path


def remove_home(path: Path) -> None:
    """Remove a home and, where a private folder above it sent the data elsewhere, those."""
    link = path / "postgres"
    if link.is_symlink():
        shutil.rmtree(link.resolve(), ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    path = make_home()
    yield path
    remove_home(path)


@pytest.fixture
def two_homes() -> Iterator[tuple[Parts, Parts]]:
    """Two embedded homes of their own, opened."""
    from clickstream_guardian.cli.opening import opened

    with ExitStack() as stack:
        found = []
        for _ in range(2):
            folder = make_home()
            stack.callback(remove_home, folder)
            found.append(stack.enter_context(opened(Settings(home=folder, database_url=None))))
        yield found[0], found[1]


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    path = make_home()
    with start_server(path, _NOT_DURABLE) as server:
        open_store(Settings(home=path, database_url=None)).close()
        yield server
    remove_home(path)


@pytest.fixture
def database(postgres: EmbeddedServer) -> Iterator[str]:
    """Name of a fresh copy of the migrated database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _administer(postgres, f'CREATE DATABASE {name} TEMPLATE "{_TEMPLATE}" OWNER guardian')
    yield name
    _administer(postgres, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def store_url(postgres: EmbeddedServer, database: str) -> str:
    return _in_database(postgres.owner_url, database)


@pytest.fixture
def reader_url(postgres: EmbeddedServer, database: str) -> str:
    return _in_database(postgres.reader_url, database)


@pytest.fixture
def store(store_url: str, reader_url: str, tmp_path: Path) -> Iterator[Store]:
    settings = Settings(home=tmp_path, database_url=store_url, database_reader_url=reader_url)
    with open_store(settings) as opened:
        yield opened


def _in_database(url: str, name: str) -> str:
    return written(make_url(url).set(database=name))


def _administer(server: EmbeddedServer, statement: str) -> None:
    url = make_url(server.admin_url).set(drivername="postgresql", database="template1")
    with psycopg.connect(written(url), autocommit=True) as admin:
        admin.execute(statement)
