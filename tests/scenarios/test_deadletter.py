"""Dead letters by the command: listed, mended, refused the second time; nothing missing."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Guardian


def test_a_dead_letter_is_mended_and_everything_still_adds_up(
    guardian: Guardian, rough_shop: Path
) -> None:
    clicks = str(rough_shop / "yoochoose-clicks.dat")
    guardian.run("replay", "--clicks", clicks)
    listed = guardian.run("deadletter", "list", "--json").stdout.splitlines()
    letters = {(one := json.loads(line))["raw"]: one for line in listed}
    assert len(letters) == 5
    bad = letters["1,2014-13-45T00:00:00.000Z,1,0,x"]
    assert (bad["reason"], bad["line_number"], bad["state"]) == ("bad_timestamp", 501, "open")
    mended = "1,2014-04-08T23:00:00.000Z,1,0,x"
    retried = guardian.run("deadletter", "retry", bad["letter"], "--replace", mended).stdout
    assert "2014-04-08" in retried
    again = guardian.run("deadletter", "retry", bad["letter"], "--replace", mended, code=2)
    assert "Retried or dropped before: 1" in again.stderr
    assert "bad_timestamp" not in guardian.run("deadletter", "list").stdout

    guardian.run("batch", "--dirty")
    guardian.run("verify", "2014-04-08")
    found = json.loads(guardian.run("reconcile", "--json").stdout)
    assert found["came_in"] == found["landed"] + found["rejected"]
    assert found["imbalances"] == []
