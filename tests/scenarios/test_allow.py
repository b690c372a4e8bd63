"""The allow-list by the command; what it does to verdicts is shown beside the store."""

from __future__ import annotations

import json
import signal
import time
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


def test_a_user_is_let_through_at_once_and_an_expired_entry_ends_with_a_look(
    guardian: Guardian, tmp_path: Path
) -> None:
    guardian.run("replay", "--clicks", str(runaway(tmp_path, "monitor")))
    assert verdicts(guardian) == {"monitor": "abusive"}
    guardian.run("allow", "add", "user", "ann", "--reason", "ours", "--for", "3s")
    assert verdicts(guardian) == {"monitor": "clean"}
    looking = guardian.start("allow", "look", "--every", "1s")
    until = time.monotonic() + 60
    while verdicts(guardian) != {"monitor": "abusive"}:
        assert time.monotonic() < until
    looking.send_signal(signal.SIGTERM)
    assert looking.wait(60) == 0
    assert "0 sessions looked up" in guardian.run("allow", "look").stderr


def runaway(folder: Path, session: str) -> Path:
    """A hundred clicks of Ann's in ten seconds."""
    lines = [
        f"{session},2014-04-07T10:00:{n // 10:02}.{n % 10}00Z,214536502,ann\n" for n in range(100)
    ]
    file = folder / f"{session}.csv"
    file.write_text("session_id,occurred_at,item_id,user_id\n" + "".join(lines))
    return file


def verdicts(guardian: Guardian) -> dict[str, str]:
    rows = guardian.rows("SELECT session_id, verdict FROM session_verdicts")
    return {row["session_id"]: row["verdict"] for row in rows}
