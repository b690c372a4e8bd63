"""A lake on a real PostgreSQL, a fresh database for each test, and rows to land."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from clickstream_guardian.lake.lake import Lake, open_lake
from clickstream_guardian.store.embedded import EmbeddedServer, start_server

OpenLake = Callable[..., Lake]


@pytest.fixture(scope="session")
def lake_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with start_server(tmp_path_factory.mktemp("lake-server")) as server:
        yield server


@pytest.fixture
def catalog_uri(lake_server: EmbeddedServer) -> Iterator[str]:
    name = f"lake_{uuid.uuid4().hex[:12]}"
    admin = create_engine(lake_server.admin_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    owner = make_url(lake_server.owner_url)
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE {name} OWNER "{owner.username}"'))
    yield owner.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def open_here(catalog_uri: str, warehouse: Path) -> Iterator[OpenLake]:
    """Opens the same lake again, as another run or another process would."""
    with ExitStack() as stack:

        def opener(**options: object) -> Lake:
            return stack.enter_context(open_lake(catalog_uri, warehouse, **options))

        yield opener


@pytest.fixture
def lake(open_here: OpenLake) -> Lake:
    return open_here()
