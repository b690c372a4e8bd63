"""Scenarios run the real command in homes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from clickstream_guardian.lab.generator import write_dataset
from tests.conftest import make_home, remove_home

GUARDIAN = Path(sys.executable).with_name("guardian")


@dataclass(frozen=True)
class Guardian:
    """The command with a home."""

    home: Path

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GUARDIAN_", "DATABASE_"))}
        return kept | {"GUARDIAN_HOME": str(self.home), "COLUMNS": "120"} | extra

    def start(self, *args: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [GUARDIAN, *args],
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, code: int = 0, **extra: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, **extra)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def rows(self, query: str) -> list[dict[str, Any]]:
        out = self.run("sql", query, "--format", "json").stdout
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def guardian(home: Path) -> Guardian:
    return Guardian(home)


@pytest.fixture(scope="session")
def small_shop() -> Iterator[Path]:
    """Two days of a small shop with attacks, in the data set's format."""
    folder = make_home()
    write_dataset(folder, scale=0.04, days=(date(2014, 4, 7), date(2014, 4, 8)), seed=3)
    yield folder
    remove_home(folder)


@pytest.fixture(scope="session")
def rough_shop() -> Iterator[Path]:
    """The same shop in arrival order with disorder, late events, repeats and bad lines."""
    folder = make_home()
    write_dataset(
        folder,
        scale=0.04,
        days=(date(2014, 4, 7), date(2014, 4, 8)),
        seed=3,
        disorder=0.05,
        late=0.01,
        duplicates=0.01,
    )
    clicks = folder / "yoochoose-clicks.dat"
    lines = clicks.read_bytes().splitlines()
    for place, bad in (
        (10, b"nonsense"),
        (500, b"1,2014-13-45T00:00:00.000Z,1,0,x"),
        (900, b"\xff,"),
        (1000, b"7,2999-01-01T00:00:00.000Z,1,0,future"),
        (1500, b"7,1999-01-01T00:00:00.000Z,1,0,ancient"),
    ):
        lines.insert(place, bad)
    clicks.write_bytes(b"\n".join(lines) + b"\n")
    yield folder
    remove_home(folder)
