"""What this process is connected to: the script runs anew for every viewer, this module once."""

from __future__ import annotations

from dataclasses import dataclass

from clickstream_guardian.dashboard.client import Client
from clickstream_guardian.errors import UsageError


@dataclass(frozen=True)
class Connection:
    """The API that the pages ask, and how often, in seconds."""

    client: Client
    refresh_seconds: float


_connections: list[Connection] = []


def connect(api_url: str, api_key: str | None, refresh_seconds: float) -> None:
    """Say which API the pages ask."""
    while _connections:
        _connections.pop().client.close()
    _connections.append(Connection(Client(api_url, api_key), refresh_seconds))


def connection() -> Connection:
    """The connection of this process.

    Raises:
        UsageError: the script was started by hand.
    """
    if not _connections:
        raise UsageError("The dashboard is not connected to an API: start it by 'guardian serve'.")
    return _connections[0]
