"""Real homes for the browser tests, made and served by the command itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

GUARDIAN = Path(sys.executable).with_name("guardian")
DAYS = ("2014-04-01", "2014-04-09")
_START_SECONDS = 240


@dataclass(frozen=True)
class Shop:
    """A served home: where its dashboard is, and what its API says."""

    url: str
    api_url: str

    def ask(self, path: str, **query: str | int) -> Any:
        return httpx.get(f"{self.api_url}{path}", params=query).raise_for_status().json()

    def anomalies(self, **query: str | int) -> list[dict[str, Any]]:
        return list(self.ask("/anomalies", limit=1000, **query)["anomalies"])

    def days(self) -> list[dict[str, Any]]:
        return list(self.ask("/metrics/daily", limit=100)["days"])


def fill(home: Path) -> None:
    """Nine days of a small shop with attacks: generated, landed, judged and measured."""
    data = home / "data"
    start, end = DAYS
    days = ["--days", f"{start}..{end}", "--sessions", "6000", "--seed", "3"]
    _guardian(home, "generate", "--out", str(data), *days)
    clicks, buys = data / "yoochoose-clicks.dat", data / "yoochoose-buys.dat"
    _guardian(home, "replay", "--clicks", str(clicks), "--purchases", str(buys))


@contextmanager
def served(home: Path) -> Iterator[Shop]:
    """``guardian serve`` on free ports, ended as Ctrl-C ends it."""
    command = [str(GUARDIAN), "serve", "--port", "0", "--dashboard-port", "0"]
    process = subprocess.Popen(command, env=_environment(home), stdout=subprocess.PIPE, text=True)
    try:
        yield _links(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def _links(process: subprocess.Popen[str]) -> Shop:
    assert process.stdout is not None
    found: dict[str, str] = {}
    for line in process.stdout:
        if link := re.match(r"\s+(\w[\w ]*?)\s+(http://\S+)", line):
            found[link.group(1)] = link.group(2)
        if "Dashboard" in found:
            return Shop(found["Dashboard"], found["API"])
    raise AssertionError(f"guardian serve ended early: {found}")


def _guardian(home: Path, *arguments: str) -> None:
    command = [str(GUARDIAN), "--quiet", *arguments]
    subprocess.run(command, env=_environment(home), check=True, timeout=_START_SECONDS)


def _environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GUARDIAN_", "DATABASE_"))}
    return kept | {"GUARDIAN_HOME": str(home)}
