"""Killed at any moment, the same command ends with exactly what an undisturbed run gives."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_home, remove_home
from tests.scenarios.conftest import Guardian
from tests.scenarios.test_replay import replay_args

KILLS = 20
RAW = (
    'SELECT event_id, session_id, occurred_at, item_id, source, partition, "offset" '
    'FROM raw_{table} ORDER BY source, partition, "offset"'
)
REJECTED = (
    'SELECT source, "offset", line_number, reason, raw FROM rejected ORDER BY source, "offset"'
)
ANOMALIES = (
    "SELECT anomaly_id, rule, rule_version, session_id, window_start, window_end, status, measures,"
    " event_count, first_crossed_at, crossed_event_id, explanation, sample"
    " FROM anomalies ORDER BY anomaly_id"
)
METRICS = {
    "daily_metrics": "dt",
    "session_funnel": "dt, step",
    "item_daily": "dt, item_id",
    "popular_categories": "dt, category",
}


def outcome(guardian: Guardian) -> dict[str, list[dict[str, Any]]]:
    """Everything a run leaves, by named columns."""
    queries = {
        "clicks": RAW.format(table="clicks"),
        "purchases": RAW.format(table="purchases"),
        "rejected": REJECTED,
        "anomalies": ANOMALIES,
        **{name: f"SELECT * FROM {name} ORDER BY {key}" for name, key in METRICS.items()},
    }
    return {name: guardian.rows(query) for name, query in queries.items()}


def postmaster(home: Path) -> int | None:
    """The embedded database's process."""
    for pid_file in (home / "postgres").rglob("postmaster.pid"):
        first = pid_file.read_text().splitlines()[:1]
        if first and first[0].isdigit():
            return int(first[0])
    return None


def kill(process: subprocess.Popen[str], home: Path, *, database: bool) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if database and (pid := postmaster(home)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(rough_shop: Path) -> Any:
    home = make_home()
    guardian = Guardian(home)
    started = time.monotonic()
    guardian.run(*replay_args(rough_shop, "--order", "file"))
    seconds = time.monotonic() - started
    yield outcome(guardian), seconds
    remove_home(home)


def test_twenty_kills_change_nothing(
    guardian: Guardian, rough_shop: Path, undisturbed: tuple[dict[str, Any], float]
) -> None:
    expected, seconds = undisturbed
    chance = random.Random(20)
    args = replay_args(rough_shop, "--order", "file")
    interrupted = 0
    for number in range(KILLS):
        process = guardian.start(*args)
        # The first kills fall into the first start of the database, the others anywhere.
        longest = 2.0 if number < 5 else seconds
        try:
            process.wait(chance.uniform(0.1, longest))
        except subprocess.TimeoutExpired:
            interrupted += 1
        kill(process, guardian.home, database=number % 3 == 0)
    assert interrupted >= KILLS // 2
    guardian.run(*args)
    found = outcome(guardian)
    for name, rows in expected.items():
        assert found[name] == rows, name
    offsets = [row["offset"] for row in found["clicks"]] + [
        row["offset"] for row in found["rejected"] if row["source"] == found["clicks"][0]["source"]
    ]
    assert sorted(offsets) == list(range(len(offsets)))


def test_a_database_killed_mid_run_is_one_sentence_and_the_next_run_goes_on(
    guardian: Guardian, rough_shop: Path, undisturbed: tuple[dict[str, Any], float]
) -> None:
    expected, _ = undisturbed
    args = replay_args(rough_shop, "--order", "file")
    slow = guardian.start(*args, "--speed", "2000")
    while not (guardian.home / "writer.txt").exists() and slow.poll() is None:
        time.sleep(0.05)
    time.sleep(2)
    pid = postmaster(guardian.home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    _, err = slow.communicate(timeout=120)
    assert slow.returncode == 1
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("guardian:")]) == 1
    guardian.run(*args)
    assert outcome(guardian) == expected
