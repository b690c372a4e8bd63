"""The families of attacks: what each is made to look like, for all its parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clickstream_guardian.lab.attacks.families import FAMILIES, Visit
from clickstream_guardian.lab.attacks.plan import load_plan

REFERENCE = Path(__file__).parents[4] / "docs" / "reference" / "generator.md"


def _items(count: int) -> np.ndarray:
    return np.arange(count) + 100


def _visits(family: str, count: int = 60) -> list[Visit]:
    """Sessions as the default plan draws them."""
    (attack,) = (one for one in load_plan("default").attacks if one.family == family)
    generator = np.random.default_rng(1)
    return [
        FAMILIES[family].build(
            generator,
            {word: generator.uniform(r.low, r.high) for word, r in attack.parameters.items()},
            _items,
        )
        for _ in range(count)
    ]


def _most_clicks(elapsed: np.ndarray, size: int, every: int, offset: int) -> np.ndarray:
    """Clicks of each aligned window that begins every so many ms."""
    at = elapsed + offset
    starts = np.arange(0, at[-1] + 1, every)
    return np.array([((at >= start) & (at < start + size)).sum() for start in starts])


@pytest.mark.parametrize("family", list(FAMILIES))
def test_visits_begin_at_zero_and_never_go_back(family: str) -> None:
    for visit in _visits(family):
        assert len(visit.elapsed_ms) == len(visit.item) >= 2
        assert visit.elapsed_ms[0] == 0
        assert np.all(np.diff(visit.elapsed_ms) >= 0)


@pytest.mark.parametrize("offset", [0, 4_999, 9_999])
def test_a_default_burst_has_fifty_clicks_in_ten_aligned_seconds(offset: int) -> None:
    for visit in _visits("runaway_burst"):
        assert _most_clicks(visit.elapsed_ms, 10_000, 10_000, offset).max() >= 50
        assert len(np.unique(visit.item)) <= 6


@pytest.mark.parametrize("offset", [0, 4_999, 9_999])
def test_a_default_bot_has_a_hundred_clicks_a_minute_on_few_items(offset: int) -> None:
    for visit in _visits("fast_bot"):
        at = visit.elapsed_ms + offset
        best = max(range(0, int(at[-1]), 10_000), key=lambda start: _inside(at, start).sum())
        inside = _inside(at, best)
        assert inside.sum() >= 100
        assert len(np.unique(visit.item[inside])) / inside.sum() <= 0.1


def _inside(at: np.ndarray, start: int) -> np.ndarray:
    return (at >= start) & (at < start + 60_000)


def test_a_bot_stays_under_the_rate_of_a_burst() -> None:
    assert all(
        _most_clicks(visit.elapsed_ms, 10_000, 10_000, 0).max() < 60
        for visit in _visits("fast_bot")
    )


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_and_parameter_is_in_the_reference(family: str) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert f"### `{family}`" in text
    section = text.split(f"### `{family}`")[1].split("###")[0]
    for word, limit in FAMILIES[family].parameters.items():
        assert f"| `{word}` | {limit.low:g} to {limit.high:g} | {limit.meaning} |" in section
