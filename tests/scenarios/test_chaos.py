"""The short form of failures on purpose: under a small load nothing is lost or wrong."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import Guardian


@pytest.mark.parametrize(
    ("number", "named"), [(8, "PostgreSQL"), (9, "disk"), (11, "kill -9")], ids=["8", "9", "11"]
)
def test_under_load_nothing_is_lost_doubled_or_wrong(
    guardian: Guardian, tmp_path: Path, number: int, named: str
) -> None:
    arguments = ("--rate", "2000", "--seconds", "8", "--out", str(tmp_path), "--json")
    if number == 9 and not may_mount(tmp_path):
        refused = guardian.run("chaos", "run", "9", *arguments, code=1)
        assert "as root on a machine that lets it mount" in refused.stderr
        return
    found = json.loads(guardian.run("chaos", "run", str(number), *arguments).stdout)
    assert found["clean"]
    assert (found["lost"], found["twice"], found["wrong"], found["attacks_missed"]) == (0, 0, 0, 0)
    assert found["attacks_found"] > 0
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"scenario-{number}.{ending}" for ending in ("md", "json", "png")}
    shown = guardian.run("chaos", "report", "--out", str(tmp_path)).stdout
    assert named in shown


def may_mount(folder: Path) -> bool:
    """Whether this user may mount on this machine."""
    place = folder / "mount"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "test", place], check=False).returncode == 0
    if mounted:
        subprocess.run(["umount", place], check=True)
    place.rmdir()
    return mounted
