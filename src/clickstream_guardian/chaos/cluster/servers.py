"""A stack for a scenario, and what is done to its servers."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from clickstream_guardian.chaos.load import kept_environment
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.registry import SchemaRegistry
from clickstream_guardian.sources.kafka.topics import create_topics
from clickstream_guardian.stack import lifecycle
from clickstream_guardian.stack.connectors import Connect
from clickstream_guardian.stack.endpoints import cluster_secrets, environment
from clickstream_guardian.stack.landing import make_tables
from clickstream_guardian.stack.service import Service
from clickstream_guardian.stack.supervisor import Supervisor

PORTS = (
    *("kafka_port", "kafka_controller_port", "schema_registry_port", "connect_port"),
    *("s3_port", "s3_console_port", "postgres_port", "spark_master_port"),
    *("spark_master_ui_port", "spark_worker_ui_port", "spark_job_ui_port"),
)
_OF_OTHERS = (
    *("database_url", "kafka_bootstrap_servers", "schema_registry_url", "kafka_connect_url"),
    *("s3_endpoint", "s3_access_key", "s3_secret_key", "spark_master", "warehouse"),
    "kafka_metrics_port",
)
"""What would point at servers of others."""
_BLOCK = 5
"""Some servers take the ports that follow theirs, and SeaweedFS those 10,000 above."""


@contextmanager
def own_stack(
    home: Path, groups: tuple[str, ...], say: Callable[[str], None]
) -> Iterator[Settings]:
    """Servers of some groups in a home of their own, on free ports, with topics and schemas.

    They and all they kept are gone at the end. Where ``connect`` is among the groups, the landing
    connectors are applied.
    """
    own: dict[str, Any] = dict.fromkeys(_OF_OTHERS) | _free_ports()
    settings = Settings(home=home, landing_commit_seconds=4, **own)
    try:
        lifecycle.up(settings, groups, say)
        create_topics(settings.kafka_servers, settings.topic_partitions)
        SchemaRegistry(settings.registry_url).register_all()
        if "connect" in groups:
            make_tables(settings)
            Connect(settings.connect_url).apply()
        yield settings
    finally:
        lifecycle.destroy(settings)


def command_environment(settings: Settings) -> dict[str, str]:
    """Variables that make ``guardian`` work on this stack, whatever the caller's own say."""
    ports = {f"GUARDIAN_{name.upper()}": str(getattr(settings, name)) for name in PORTS}
    home = {"GUARDIAN_HOME": str(settings.home_path)}
    return kept_environment() | ports | home | environment(settings)


class Servers:
    """The servers of a running stack, to be broken.

    Args:
        settings: the stack's.
        groups: which of them are looked at by ``troubles``.
    """

    def __init__(self, settings: Settings, groups: tuple[str, ...]) -> None:
        secrets = cluster_secrets(settings)
        self._supervisor = Supervisor(lifecycle.stack_folder(settings), secrets.supervisor_password)
        plan = lifecycle.plan(settings, secrets, groups, lambda _: None)
        self._services: dict[str, Service] = {service.name: service for service in plan}

    def pid(self, name: str) -> int:
        """The process of a server.

        Raises:
            GuardianError: it does not run.
        """
        for state in self._supervisor.states():
            if state.name == name and state.pid:
                return state.pid
        raise GuardianError(f"Server {name} does not run; nothing was broken.")

    def kill(self, name: str) -> None:
        """``kill -9``; the supervisor starts it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    def hold_down(self, name: str) -> None:
        """``kill -9``, and no new start."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)  # it hears of no orderly end
        self._supervisor.stop(self._services[name])
        os.kill(pid, signal.SIGKILL)

    def kill_family(self, name: str) -> None:
        """``kill -9`` of a server and of all that it has started."""
        root = psutil.Process(self.pid(name))
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def freeze(self, name: str) -> None:
        """Stop it without ending it: its connections stay open, and nothing answers."""
        os.kill(self.pid(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen server go on."""
        with suppress(GuardianError, ProcessLookupError):
            os.kill(self.pid(name), signal.SIGCONT)

    def start(self, name: str) -> None:
        """Start a server that was held down."""
        self._supervisor.start(self._services[name])

    def is_ready(self, name: str) -> bool:
        """Whether a server does its work."""
        return _is_ready(self._services[name])

    def troubles(self) -> list[str]:
        """The servers that are not ready."""
        return [name for name, service in self._services.items() if not _is_ready(service)]


def _is_ready(service: Service) -> bool:
    try:
        service.probe()
    except Exception:
        return False
    return True


def _free_ports() -> dict[str, int]:
    found: dict[str, int] = {}
    port = 21_000 + os.getpid() % 80 * 100
    for name in PORTS:
        while not all(_is_free(p) and _is_free(p + 10_000) for p in range(port, port + _BLOCK)):
            port += _BLOCK
        found[name] = port
        port += _BLOCK
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) != 0
