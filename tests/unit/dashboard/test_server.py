"""The dashboard's process: it starts, answers, and never stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from clickstream_guardian.dashboard.frame import PATHS
from clickstream_guardian.dashboard.layout import ENTRIES
from clickstream_guardian.dashboard.server import start
from clickstream_guardian.errors import UsageError

NOWHERE = "http://127.0.0.1:9"


def test_it_answers_with_our_document_and_stops() -> None:
    with start(NOWHERE, 0) as dashboard:
        for path in PATHS:
            answer = httpx.get(dashboard.url + path)
            assert "<title>Clickstream Guardian</title>" in answer.text
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert httpx.get(f"{dashboard.url}/guardian.svg").text.startswith("<svg")
        assert dashboard.running
    assert not dashboard.running
    with pytest.raises(httpx.ConnectError):
        httpx.get(dashboard.url)


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot bind 127.0.0.1:{port}"):
            start(NOWHERE, port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_an_address_that_others_reach_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="no log-in of its own"):
        start(NOWHERE, 0, host)


def test_it_ends_with_a_starter_that_was_killed() -> None:
    code = (
        "from clickstream_guardian.dashboard.server import start; import time; "
        f"d = start({NOWHERE!r}, 0); print(d._process.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    dashboard = psutil.Process(int(starter.stdout.readline()))
    starter.kill()
    starter.wait()
    starter.stdout.close()
    gone(dashboard)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_cleanly_on_a_signal(number: signal.Signals) -> None:
    code = f"from clickstream_guardian.dashboard.server import serve; serve({NOWHERE!r}, 0)"
    server = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    dashboard = child_of(server.pid)
    os.kill(server.pid, number)
    _, said = server.communicate(timeout=60)
    assert server.returncode == 0
    assert said == ""
    gone(dashboard)


def test_every_page_has_its_document() -> None:
    assert set(PATHS) == {f"/{entry.path}" for entry in ENTRIES}


def child_of(pid: int) -> psutil.Process:
    """The dashboard's process, once it listens."""
    for _ in range(900):
        for child in psutil.Process(pid).children():
            if child.net_connections("tcp"):
                return child
        time.sleep(0.1)
    raise AssertionError("no dashboard was started")


def gone(process: psutil.Process) -> None:
    process.wait(30)
    assert not process.is_running()
