"""What the API needs to know to run."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from clickstream_guardian.store.read import ReaderConfig


@dataclass(frozen=True)
class ApiConfig:
    """Everything that can be said about an API before it runs.

    Attributes:
        reader: how to read the database.
        host: address it binds.
        port: port it binds; 0 for any that is free.
        requests_per_second: requests that one key may send, in the long run.
        burst: requests that one key may send at once.
        most_streams: streams of changes open at once; the next is refused.
        poll_seconds: how often the database is asked for changes while a stream is open.
        heartbeat_seconds: longest silence on a stream.
        decisions_enforced: whether machines are meant to act on decisions.
        decision_seconds: how long a decision lives after its session was last flagged.
        stream_seconds: age at which a stream is closed; its client resumes.
    """

    reader: ReaderConfig
    host: str = "127.0.0.1"
    port: int = 8000
    keys_required: bool = field(default=False)
    requests_per_second: float = 100.0
    burst: int = 200
    most_streams: int = 50
    poll_seconds: float = 0.2
    heartbeat_seconds: float = 15.0
    stream_seconds: float = 3600.0
    decisions_enforced: bool = False
    decision_seconds: int = 3600

    def __post_init__(self) -> None:
        """Require keys wherever others can reach the port."""
        if not is_loopback(self.host):
            object.__setattr__(self, "keys_required", True)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
