"""One running stack for all tests of this folder, on ports and in a home of its own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickstream_guardian.settings import Settings, load_settings
from clickstream_guardian.stack import lifecycle
from clickstream_guardian.stack.commands import connectors_apply, schemas_register, topics_create
from tests.cluster.world import World

PORTS = (
    *("postgres_port", "schema_registry_port", "connect_port", "s3_console_port"),
    *("kafka_port", "kafka_controller_port", "s3_port", "spark_master_port"),
    *("spark_master_ui_port", "spark_worker_ui_port", "spark_job_ui_port"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


def _free_block(taken: set[int]) -> int:
    """The first of five neighbouring free ports, whose partners 10,000 above are free too.

    Where the search begins differs from run to run: of two at once, neither takes what the other
    has chosen and not yet bound.
    """
    for port in range(21_000 + os.getpid() % 80 * 100, 29_000, 5):
        block = {port + i for i in range(5)}
        if not block & taken and all(_is_free(p) and _is_free(p + 10_000) for p in block):
            taken |= block
            return port
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) != 0


def free_ports(*names: str) -> dict[str, int]:
    """A port for each setting, with free neighbours."""
    taken: set[int] = set()
    return {name: _free_block(taken) for name in names}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of the shared stack, in the environment for commands."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("GUARDIAN_HOME", str(tmp_path_factory.mktemp("stack-home")))
        patch.setenv("GUARDIAN_LANDING_COMMIT_SECONDS", "4")
        for name, port in free_ports(*PORTS).items():
            patch.setenv(f"GUARDIAN_{name.upper()}", str(port))
        yield load_settings()


@pytest.fixture(scope="session")
def world(settings: Settings) -> Iterator[World]:
    """The running stack with topics, schemas and connectors."""
    started = time.monotonic()
    try:
        lifecycle.up(settings, (), print)
        topics_create()
        schemas_register()
        connectors_apply()
        print(f"stack, topics, schemas, connectors: {time.monotonic() - started:.1f} s")
        with World(settings) as made:
            yield made
    finally:
        lifecycle.destroy(settings)
