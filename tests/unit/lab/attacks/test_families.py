"""The families of attacks: what each is made to look like, for all its parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clickstream_guardian.lab.attacks.families import FAMILIES
from clickstream_guardian.lab.attacks.plan import Attack, load_plan
from clickstream_guardian.lab.attacks.scene import CleanSessions, Scene, Visit
from clickstream_guardian.lab.columns import Clicks

REFERENCE = Path(__file__).parents[4] / "docs" / "reference" / "generator.md"
TRIAL = load_plan("trial").attacks


def _items(count: int) -> np.ndarray:
    return np.arange(count) + 100


def _clean() -> CleanSessions:
    """200 sessions of 1 to 30 clicks with long-tailed pauses."""
    generator = np.random.default_rng(3)
    length = generator.integers(1, 30, 200)
    ordinal = np.concatenate([np.arange(n) for n in length])
    gaps = generator.lognormal(10.5, 1.2, len(ordinal)).astype(np.int64)
    return CleanSessions.of(
        Clicks(
            np.repeat(np.arange(200), length),
            np.cumsum(gaps),
            ordinal.astype(np.int32),
            generator.integers(500, 900, len(ordinal)).astype(np.int32),
            np.zeros(len(ordinal), dtype=np.uint8),
        )
    )


def _occasions(attack: Attack, count: int) -> list[tuple[Visit, ...]]:
    generator = np.random.default_rng(1)
    shelf = np.arange(1_000, 1_200)
    scene = Scene(generator, attack.strength, _items, lambda: shelf, _clean())
    return [
        FAMILIES[attack.family].build(
            scene,
            {word: generator.uniform(r.low, r.high) for word, r in attack.parameters.items()},
        )
        for _ in range(count)
    ]


def _visits(family: str, count: int = 60) -> list[Visit]:
    """Sessions as the default plan draws them."""
    (attack,) = (one for one in load_plan("default").attacks if one.family == family)
    return [visit for visits in _occasions(attack, count) for visit in visits]


def _most_clicks(elapsed: np.ndarray, size: int, every: int, offset: int) -> np.ndarray:
    """Clicks of each aligned window that begins every so many ms."""
    at = elapsed + offset
    starts = np.arange(0, at[-1] + 1, every)
    return np.array([((at >= start) & (at < start + size)).sum() for start in starts])


@pytest.mark.parametrize("attack", TRIAL, ids=lambda attack: attack.name)
def test_visits_never_go_back(attack: Attack) -> None:
    for visits in _occasions(attack, 3):
        assert len(visits) == 1 or "sessions" in attack.parameters
        for visit in visits:
            assert len(visit.elapsed_ms) == len(visit.item) >= 1
            assert visit.elapsed_ms[0] >= 0
            assert np.all(np.diff(visit.elapsed_ms) >= 0)
            assert len(visit.bought_ms) == len(visit.bought_item) == len(visit.quantity)
            assert np.all(np.diff(visit.bought_ms) >= 0)


def _trial(name: str) -> list[Visit]:
    (attack,) = (one for one in TRIAL if one.name == name)
    return [visit for visits in _occasions(attack, 3) for visit in visits]


@pytest.mark.parametrize("strength", ["naive", "jittered", "mimic"])
def test_every_strength_keeps_the_trait_of_its_family(strength: str) -> None:
    assert all(len(v.item) > 60 for v in _trial(f"runaway_burst_{strength}"))
    assert all(len(np.unique(v.item)) <= 8 for v in _trial(f"fast_bot_{strength}"))
    crawls = _trial(f"slow_crawler_{strength}")
    assert all(len(np.unique(v.item)) >= 0.8 * len(v.item) for v in crawls)
    scrapes = _trial(f"catalogue_scraper_{strength}")
    assert all(np.mean(np.diff(v.item) > 0) > 0.5 for v in scrapes)
    farms = _occasions(next(a for a in TRIAL if a.name == f"click_farm_{strength}"), 3)
    assert all(set.intersection(*(set(v.item.tolist()) for v in farm)) for farm in farms)
    steps = _occasions(next(a for a in TRIAL if a.name == f"lockstep_farm_{strength}"), 3)
    assert all(len({frozenset(v.item.tolist()) for v in farm}) == 1 for farm in steps)
    replays = _occasions(next(a for a in TRIAL if a.name == f"replayed_session_{strength}"), 3)
    assert all(len({tuple(v.item.tolist()) for v in one}) == 1 for one in replays)
    assert all(len(v.bought_item) >= 12 for v in _trial(f"purchase_burst_{strength}"))


def test_the_trial_holds_every_family_in_every_strength_and_one_percent_of_the_sessions() -> None:
    attacks = [a for a in TRIAL if not FAMILIES[a.family].control]
    families = {name for name, family in FAMILIES.items() if not family.control}
    strengths = ("naive", "jittered", "mimic")
    assert {(a.family, a.strength.value) for a in attacks} == {
        (family, strength) for family in families for strength in strengths
    }
    assert sum(a.share for a in attacks) == pytest.approx(0.01, abs=0.0005)
    controls = {a.family for a in TRIAL if a.strength == "control"}
    assert controls == {name for name, family in FAMILIES.items() if family.control}


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
