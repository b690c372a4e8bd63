"""The allow-list by the command; what it does to verdicts is shown beside the store."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Guardian


def test_an_entry_is_added_listed_and_removed(guardian: Guardian, small_shop: Path) -> None:
    guardian.run("replay", "--clicks", str(small_shop / "yoochoose-clicks.dat"))
    query = "SELECT session_id FROM anomalies WHERE severity IN ('high', 'critical') LIMIT 1"
    session = str(guardian.rows(query)[0]["session_id"])
    told = guardian.run("allow", "add", "session", session, "--reason", "[ours]", "--for", "1d")
    assert f"session {session} is allowed until " in told.stdout
    (entry,) = map(json.loads, guardian.run("allow", "list", "--json").stdout.splitlines())
    assert (entry["kind"], entry["value"], entry["reason"]) == ("session", session, "[ours]")
    assert "[ours]" in guardian.run("allow", "list").stdout
    told = guardian.run("allow", "add", "network", "10.1.2.3", "--reason", "the office")
    assert "network 10.1.2.3/32 is allowed until it is removed" in told.stdout
    guardian.run("batch", "--dirty")
    guardian.run("allow", "remove", "network", "10.1.2.3")
    wrong = guardian.run("allow", "add", "network", "10.1.2.3/16", "--reason", "x", code=2)
    assert "10.1.0.0/16" in wrong.stderr
    guardian.run("allow", "remove", "session", session)
    assert guardian.run("allow", "list", "--json").stdout == ""
    gone = guardian.run("allow", "remove", "session", session, code=2)
    assert "guardian allow list" in gone.stderr
