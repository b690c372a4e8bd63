"""The short form of failures on purpose: under a small load nothing is lost or wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import make_home, remove_home

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


def test_the_script_asks_which_scenario_and_runs_it(guardian: Guardian) -> None:
    script = Path(__file__).parents[2] / "scripts" / "failure_simulation.py"
    done = subprocess.run(
        [sys.executable, script],
        input="99\n",
        env=guardian.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "kill -9 under load" in done.stdout
    assert "Which?" in done.stdout
    assert "There is no scenario 99" in done.stderr
    assert done.returncode == 2


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that other users may pass through."""
    folder = make_home()
    yield folder
    remove_home(folder)


@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGHUP])
def test_interrupted_nothing_is_left_running(
    guardian: Guardian, scratch: Path, ends: signal.Signals
) -> None:
    load = ("--rate", "2000", "--seconds", "60")
    before = signal.signal(ends, signal.SIG_DFL)  # under `nohup` it would be ignored
    run = guardian.start("chaos", "run", "11", *load, TMPDIR=str(scratch))
    signal.signal(ends, before)
    deadline = time.monotonic() + 60
    while not list(scratch.glob("*/api/serve.log")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = psutil.Process(run.pid).children(recursive=True)
    assert children
    run.send_signal(ends)
    time.sleep(0.2)
    run.send_signal(ends)  # a second one does not cut the cleaning up short
    run.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert not list(scratch.iterdir())


def may_mount(folder: Path) -> bool:
    """Whether this user may mount on this machine."""
    place = folder / "mount"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "test", place], check=False).returncode == 0
    if mounted:
        subprocess.run(["umount", place], check=True)
    place.rmdir()
    return mounted
