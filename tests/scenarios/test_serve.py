"""API and dashboard start by one command, say where they are, and stop by Ctrl-C."""

from __future__ import annotations

import re
import signal
import time

import httpx

from tests.scenarios.conftest import Guardian


def test_serve_prints_its_links_answers_and_stops_cleanly(guardian: Guardian) -> None:
    process = guardian.start("serve", "--port", "0", "--dashboard-port", "0")
    try:
        assert process.stdout is not None
        links = {}
        while "Dashboard" not in links:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            if found := re.match(r"\s*(.+?)\s+(http://\S+)", line):
                links[found[1]] = found[2]
        assert httpx.get(f"{links['API']}/health").status_code == 200
        assert httpx.get(f"{links['API']}/status").json()["events"]["received"] == 0
        assert httpx.get(links["Dashboard"]).status_code == 200
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_a_key_is_shown_once_and_can_be_revoked(guardian: Guardian) -> None:
    secret = guardian.run("keys", "create", "grafana").stdout.strip()
    assert secret.startswith("gk_")
    listed = guardian.run("keys", "list", "--json").stdout
    assert "grafana" in listed
    assert secret not in listed
    key_id = secret.split("_")[1]
    guardian.run("keys", "revoke", key_id)
    assert '"revoked_at": null' not in guardian.run("keys", "list", "--json").stdout
