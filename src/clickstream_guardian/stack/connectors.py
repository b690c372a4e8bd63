"""The landing connectors: the files of ``deploy/connect`` given to Kafka Connect."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.stack.deployed import deployed_folder


@dataclass(frozen=True)
class ConnectorStatus:
    """One connector, as Connect sees it."""

    name: str
    state: str
    tasks: tuple[str, ...]
    trouble: str

    @property
    def running(self) -> bool:
        """Whether it and its task run."""
        return self.state == "RUNNING" and bool(self.tasks) and set(self.tasks) == {"RUNNING"}


def connector_files() -> list[Path]:
    """The connectors' files."""
    return sorted(deployed_folder("connect").glob("*.json"))


class Connect:
    """Kafka Connect at its base URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(base_url=url, timeout=30)

    def apply(self) -> list[str]:
        """Create each connector or bring it up to its file; returns their names.

        Raises:
            GuardianError: Connect is away or refuses one.
        """
        names = []
        for file in connector_files():
            connector = json.loads(file.read_text())
            name = connector["name"]
            self._ask("PUT", f"/connectors/{name}/config", connector["config"])
            names.append(name)
        return names

    def status(self) -> list[ConnectorStatus]:
        """Every connector's state, by name.

        Raises:
            GuardianError: Connect is away.
        """
        found = self._ask("GET", "/connectors?expand=status")
        return [_status(name, entry["status"]) for name, entry in sorted(found.items())]

    def delete(self) -> list[str]:
        """Delete the connectors of ``deploy/connect``; what they have landed stays.

        Raises:
            GuardianError: Connect is away.
        """
        present = self._ask("GET", "/connectors?expand=status")
        ours = {json.loads(file.read_text())["name"] for file in connector_files()}
        gone = sorted(ours & present.keys())
        for name in gone:
            self._ask("DELETE", f"/connectors/{name}")
        return gone

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise GuardianError(
                f"Kafka Connect at {self._url} does not answer ({error}); "
                "start it with `guardian stack up`."
            ) from error
        if answer.is_error:
            raise GuardianError(
                f"Kafka Connect at {self._url} refuses {method} {path}: {answer.text[:300]}"
            )
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


def _status(name: str, status: dict[str, Any]) -> ConnectorStatus:
    parts = [status["connector"], *status["tasks"]]
    trouble = next((part["trace"] for part in parts if part.get("trace")), "")
    return ConnectorStatus(
        name=name,
        state=status["connector"]["state"],
        tasks=tuple(task["state"] for task in status["tasks"]),
        trouble=_cause(trouble),
    )


def _cause(trace: str) -> str:
    """The innermost cause of a Java stack trace, in one line."""
    causes = [line for line in trace.splitlines() if line.startswith("Caused by:")]
    lines = causes or trace.splitlines()[:1]
    return lines[-1].removeprefix("Caused by:").strip() if lines else ""
