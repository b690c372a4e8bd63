"""The short form of a failure on purpose: killed under a small load, nothing is lost or wrong."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Guardian


def test_killed_under_load_nothing_is_lost_doubled_or_wrong(
    guardian: Guardian, tmp_path: Path
) -> None:
    arguments = ("--rate", "2000", "--seconds", "8", "--out", str(tmp_path), "--json")
    found = json.loads(guardian.run("chaos", "run", "11", *arguments).stdout)
    assert found["clean"]
    assert (found["lost"], found["twice"], found["wrong"], found["attacks_missed"]) == (0, 0, 0, 0)
    assert found["attacks_found"] > 0
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"scenario-11.md", "scenario-11.json", "scenario-11.png"}
    shown = guardian.run("chaos", "report", "--out", str(tmp_path)).stdout
    assert "kill -9" in shown
