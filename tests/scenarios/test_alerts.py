"""Alerts by the command: a real webhook is told once, the history shows it, a silence quiets it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.alerts.servers import webhook

from .conftest import Guardian


def test_a_day_with_attacks_reaches_the_webhook_once(guardian: Guardian, small_shop: Path) -> None:
    clicks = str(small_shop / "yoochoose-clicks.dat")
    with webhook() as hook:
        channels = {"GUARDIAN_ALERT_CHANNELS": hook.url, "GUARDIAN_ALERT_LEAST_SEVERITY": "low"}
        assert "taken" in guardian.run("alerts", "test", **channels).stdout
        guardian.run("alerts", "watch", "--once", **channels)
        guardian.run("replay", "--clicks", clicks)
        guardian.run("alerts", "watch", "--once", **channels)
        guardian.run("alerts", "watch", "--once", **channels)
    assert hook.taken[0] == "Clickstream Guardian: test"
    [title] = hook.taken[1:]
    assert "alerts, first: " in title
    rows = [
        json.loads(line) for line in guardian.run("alerts", "list", "--json").stdout.splitlines()
    ]
    pairs = {(row["rule"], row["key"]) for row in rows}
    found = guardian.rows("SELECT DISTINCT rule, session_id AS key FROM anomalies")
    assert pairs == {(one["rule"], one["key"]) for one in found}
    assert len(rows) == len(pairs)
    assert {row["outcome"] for row in rows} == {"delivered"}


def test_a_channel_that_does_not_answer_fails_the_test_command(guardian: Guardian) -> None:
    gone = {"GUARDIAN_ALERT_CHANNELS": "json://127.0.0.1:9/hook"}
    assert "did not take" in guardian.run("alerts", "test", code=1, **gone).stderr
