"""Lines put into a file: its own stay as they are, and nothing becomes late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clickstream_guardian.events.decode import Layout, base_columns
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.lab.merging import merged
from clickstream_guardian.sources import lines as file_lines
from clickstream_guardian.sources.spool import file_layout

_START = datetime(2014, 4, 7, tzinfo=UTC)
_NOW = datetime(2024, 1, 1, tzinfo=UTC)


def _line(session: str, second: float) -> str:
    at = _START + timedelta(seconds=second)
    return f"{session},{at:%Y-%m-%dT%H:%M:%S}.000Z,7,0"


def _added(seconds: list[float]) -> pl.DataFrame:
    at = [_START + timedelta(seconds=one) for one in seconds]
    instants = pl.Series("occurred_at", at, dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame([instants, pl.Series("line", [_line("x", one) for one in seconds])])


def _merge(path: Path, seconds: list[float]) -> list[str]:
    parts = merged(path, file_layout(path, CLICK), _added(seconds), _NOW)
    return b"".join(parts).decode().splitlines()


def _seconds_late(lines: list[str], session: str) -> list[float]:
    """How far each line of a session lies behind what came before it."""
    at = [datetime.fromisoformat(line.split(",")[1]).timestamp() for line in lines]
    before = [float("-inf"), *accumulate(at, max)]
    rows = zip(lines, at, before, strict=False)
    return [latest - one for line, one, latest in rows if line.startswith(f"{session},")]


@pytest.mark.parametrize("chunk_bytes", [64, 1 << 20])
def test_nothing_becomes_late_in_a_file_of_arrival(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(file_lines, "CHUNK_BYTES", chunk_bytes)
    chance = np.random.default_rng(5)
    own = [_line("a", one) for one in (np.arange(300) + chance.integers(30, 90, 300)).tolist()]
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(own) + "\n")
    together = _merge(path, sorted(chance.integers(0, 500, 80).tolist()))
    assert [line for line in together if line.startswith("a")] == own
    assert len(together) == 380
    assert max(_seconds_late(together, "x")) <= 0
    assert [max(0, one) for one in _seconds_late(together, "a")] == [
        max(0, one) for one in _seconds_late(own, "a")
    ]


def test_a_header_stays_first_and_a_bad_line_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text(f"session,timestamp,item,category\n{_line('a', 5)}\nnonsense\n{_line('a', 9)}")
    together = _merge(path, [1, 7, 20])
    assert together == [
        "session,timestamp,item,category",
        _line("x", 1),
        _line("a", 5),
        "nonsense",
        _line("x", 7),
        _line("a", 9),
        _line("x", 20),
    ]


def test_without_a_file_the_lines_stand_alone() -> None:
    layout = Layout(CLICK, base_columns(CLICK), header=False)
    parts = merged(None, layout, _added([1, 2]), _NOW)
    assert b"".join(parts).decode().splitlines() == [_line("x", 1), _line("x", 2)]
