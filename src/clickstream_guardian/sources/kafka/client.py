"""What every client of the log is told."""

from __future__ import annotations

from typing import Any

_ANSWER_SECONDS = 5
"""A broker that does not answer for so long is given up, and who leads now is asked. librdkafka
waits a minute, which a broker that hangs, its connections open, would hold up all work for; the
cluster itself replaces it after ``broker.session.timeout.ms``, three seconds."""


def client_settings(servers: str) -> dict[str, Any]:
    """librdkafka's settings for brokers that die, hang and come back; silent about them."""
    return {
        "bootstrap.servers": servers,
        "socket.timeout.ms": _ANSWER_SECONDS * 1000,
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 1000,
        "log_level": 2,
    }
