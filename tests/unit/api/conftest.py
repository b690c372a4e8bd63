"""An API over a real database, in this process (``client``) or on a port (``serving``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from starlette.testclient import TestClient

from clickstream_guardian.api.app import create_app
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.server import running
from clickstream_guardian.store.database import Store
from clickstream_guardian.store.read import ReaderConfig

HERE = "http://localhost"


@pytest.fixture
def config(store: Store) -> ApiConfig:
    """With more patience than in use: tests share their machine."""
    reader = ReaderConfig(
        store.reader_url, wait_seconds=30.0, silence_seconds=30.0, statement_seconds=30.0
    )
    return ApiConfig(reader, port=0, heartbeat_seconds=0.3)


@pytest.fixture
def client(config: ApiConfig) -> Iterator[TestClient]:
    with TestClient(create_app(config), base_url=HERE) as made:
        yield made


@pytest.fixture
def serve() -> Iterator[Callable[[ApiConfig], str]]:
    """Starts an API on a free port: its URL; it is stopped after the test."""
    with ExitStack() as stack:
        yield lambda config: stack.enter_context(running(config))


@pytest.fixture
def serving(serve: Callable[[ApiConfig], str], config: ApiConfig) -> str:
    return serve(config)
