"""The one client of this process; the script is run anew for every viewer, this module is not."""

from __future__ import annotations

from clickstream_guardian.dashboard.client import Client
from clickstream_guardian.errors import UsageError

_clients: list[Client] = []


def connect(api_url: str, api_key: str | None = None) -> None:
    """Say which API the pages ask."""
    while _clients:
        _clients.pop().close()
    _clients.append(Client(api_url, api_key))


def client() -> Client:
    """The client of this process.

    Raises:
        UsageError: the script was started by hand.
    """
    if not _clients:
        raise UsageError("The dashboard is not connected to an API: start it by 'guardian serve'.")
    return _clients[0]
