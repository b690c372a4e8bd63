"""Starts the dashboard in a process of its own, and stops it.

The process learns what it needs over its standard input and ends when that closes: it cannot
outlive whoever started it, not even one that was killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from types import FrameType, TracebackType

from clickstream_guardian.errors import GuardianError, UsageError

_START_SECONDS = 120.0
_STOP_SECONDS = 5.0


class Dashboard:
    """A running dashboard; use it as a context manager or call :meth:`stop`.

    Attributes:
        url: Where it is looked at.
    """

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self.url = url

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Wait until it ends; its exit code, or None when the time is over first."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_seconds)
        return None

    def stop(self) -> None:
        """End it: by asking, and after 5 seconds by force."""
        _close_input(self._process)
        if self.wait(_STOP_SECONDS) is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Dashboard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(
    api_url: str,
    port: int = 8501,
    host: str = "127.0.0.1",
    api_key: str | None = None,
    refresh_seconds: float = 5.0,
) -> Dashboard:
    """Start the dashboard and return once it answers.

    Args:
        api_url: Base URL of the API it asks.
        port: Port to bind; 0 takes a free one.
        host: Loopback address to bind.
        api_key: Key for the API, where it asks for one.
        refresh_seconds: How often a page asks anew; those of whole days six times more rarely.

    Raises:
        UsageError: the host is not loopback, Streamlit is not installed, or the port is taken.
        GuardianError: it did not start.
    """
    _check_host(host)
    process = subprocess.Popen(
        [sys.executable, "-m", "clickstream_guardian.dashboard.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parent,
        env={
            name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")
        },
    )
    orders = {
        "api_url": api_url,
        "port": port,
        "host": host,
        "api_key": api_key,
        "refresh_seconds": refresh_seconds,
    }
    try:
        answer = _exchange(process, orders)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if "error" in answer:
        process.wait()
        raise UsageError(answer["error"])
    name = f"[{host}]" if ":" in host else host
    return Dashboard(process, f"http://{name}:{answer['port']}")


def serve(
    api_url: str, port: int = 8501, host: str = "127.0.0.1", api_key: str | None = None
) -> None:
    """Run the dashboard until Ctrl-C or SIGTERM, then stop it cleanly.

    Args and errors are those of :func:`start`; a dashboard that ends by itself is a GuardianError.
    """
    asked_to_stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        asked_to_stop.set()

    previous = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with start(api_url, port, host, api_key) as dashboard:
            while not asked_to_stop.wait(0.5):
                if not dashboard.running:
                    raise GuardianError(
                        f"The dashboard at {dashboard.url} ended by itself (exit code "
                        f"{dashboard.wait()}): its messages above say why."
                    )
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _check_host(host: str) -> None:
    with suppress(ValueError):
        if ip_address(host).is_loopback:
            return
    if host != "localhost":
        raise UsageError(
            f"The dashboard does not bind {host!r}: it has no log-in of its own; bind 127.0.0.1 "
            "and reach it by an SSH tunnel, or put a proxy that asks who is there in front."
        )


def _exchange(process: subprocess.Popen[str], orders: dict[str, object]) -> dict[str, str]:
    """Give the orders; the process answers with its port or an error."""
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(_START_SECONDS, process.kill)
    timer.start()
    try:
        process.stdin.write(json.dumps(orders) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = ""
    finally:
        timer.cancel()
    if not line:
        raise GuardianError(
            f"The dashboard did not start within {_START_SECONDS:.0f} s (exit code "
            f"{process.wait()}): its messages above say why."
        )
    answer: dict[str, str] = json.loads(line)
    return answer


def _close_input(process: subprocess.Popen[str]) -> None:
    with suppress(BrokenPipeError):
        if process.stdin:
            process.stdin.close()
