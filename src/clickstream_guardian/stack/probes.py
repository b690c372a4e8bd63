"""Readiness: a probe raises until the server does the work it is there for."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import httpx

from clickstream_guardian.errors import GuardianError


def wait_ready(
    name: str, probe: Callable[[], None], seconds: float, alive: Callable[[], bool]
) -> float:
    """Try a probe until it passes.

    Args:
        name: server, for the error.
        probe: raises while the server is not ready.
        seconds: how long to try.
        alive: whether the supervisor still believes in the process.

    Returns:
        Seconds it took.

    Raises:
        GuardianError: it was not ready in time, or gave up.
    """
    started = time.monotonic()
    while True:
        try:
            probe()
            return time.monotonic() - started
        except Exception as error:
            waited = time.monotonic() - started
            if waited > seconds or not alive():
                raise GuardianError(
                    f"Server {name} was not ready after {waited:.0f} s ({error}); "
                    f"see `guardian stack logs {name}`."
                ) from error
            time.sleep(0.2)


def answers(url: str, expected: int = 200) -> None:
    """Raise unless a GET of the URL has the expected status."""
    status = httpx.get(url, timeout=3).status_code
    if status != expected:
        raise GuardianError(f"{url} answered {status}")


def accepts(host: str, port: int) -> None:
    """Raise unless something accepts a connection."""
    with socket.create_connection((host, port), timeout=2):
        return


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True
