"""A small process that restarts failed tasks of Kafka Connect, which by itself never does."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.probes import accepts
from clickstream_guardian.stack.service import Service

EVERY_SECONDS = 3.0


def restart_failed(connect_url: str) -> list[str]:
    """Restart connectors that failed or have a failed task; returns their names."""
    found = httpx.get(f"{connect_url}/connectors?expand=status", timeout=10).json()
    failed = [name for name, entry in found.items() if _has_failed(entry["status"])]
    for name in failed:
        url = f"{connect_url}/connectors/{name}/restart?includeTasks=true&onlyFailed=true"
        httpx.post(url, timeout=30)
    return failed


def watch(connect_url: str, every_seconds: float = EVERY_SECONDS) -> None:
    """Look again and again, for ever; an absent Connect is waited for."""
    while True:
        try:
            for name in restart_failed(connect_url):
                print(f"restarted {name}", flush=True)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            print(f"Connect is away: {error}", flush=True)
        time.sleep(every_seconds)


def watch_service(settings: Settings, folder: Path, python: Path) -> Service:
    """The watcher as a service of the stack."""
    own = folder / "watch"
    module = "clickstream_guardian.stack.watch"
    return Service(
        name="watch",
        group="watch",
        command=(str(python), "-m", module, settings.connect_url),
        folder=own,
        address="(no port)",
        probe=lambda: accepts(settings.stack_host, settings.connect_port),
        prepare=lambda: own.mkdir(parents=True, exist_ok=True),
    )


def _has_failed(status: dict[str, object]) -> bool:
    tasks = status["tasks"]
    parts = [status["connector"], *(tasks if isinstance(tasks, list) else [])]
    return any(isinstance(part, dict) and part.get("state") == "FAILED" for part in parts)


if __name__ == "__main__":
    import sys

    watch(sys.argv[1])
