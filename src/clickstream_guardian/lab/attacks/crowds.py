"""Attacks by many sessions together, none of which need look odd alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from clickstream_guardian.lab.attacks.scene import (
    Family,
    Limit,
    Numbers,
    Scene,
    Strength,
    Visit,
    unique_in_order,
)
from clickstream_guardian.lab.columns import Index, Ints


def _click_farm(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """Hundreds of short sessions click one item, to make it look popular."""
    (target,) = scene.items(1)
    begins = scene.starts(scene.whole(numbers["sessions"]), numbers["hours"] * 3600)
    return tuple(_farm_visit(scene, int(target), numbers, start) for start in begins)


def _farm_visit(scene: Scene, target: int, numbers: Numbers, start: int) -> Visit:
    if scene.strength is Strength.MIMIC:
        copy = scene.clean.visit(scene.generator)
        items = np.array(copy.item)
        items[scene.generator.integers(len(items))] = target
        return Visit(start + copy.elapsed_ms, items)
    clicks = scene.whole(scene.generator.uniform(1, numbers["clicks"] + 0.5))
    elapsed = start + scene.paced(clicks, 3_000, 0.9)
    items = np.full(clicks, target, dtype=np.int64)
    if scene.strength is Strength.JITTERED and clicks > 2 and scene.generator.random() < 0.1:
        items[0] = scene.items(1)[0]
    return Visit(elapsed, items)


def _lockstep_farm(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """Many sessions begin close together and click the same set of items."""
    wanted = scene.items(scene.whole(numbers["items"], 2))
    begins = scene.starts(scene.whole(numbers["sessions"]), numbers["minutes"] * 60)
    return tuple(_lockstep_visit(scene, wanted, int(start)) for start in begins)


def _lockstep_visit(scene: Scene, wanted: Index, start: int) -> Visit:
    items = wanted
    if scene.strength is not Strength.NAIVE:
        again = scene.generator.choice(wanted, scene.generator.integers(0, 3))
        items = scene.generator.permutation(np.concatenate([wanted, again]))
    return Visit(start + scene.paced(len(items), 4_000, 0.9), items)


def _replayed_session(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A session is recorded once and played again and again under new session ids."""
    recorded = scene.clean.visit(scene.generator, least=6, most=25)
    for _ in range(50):
        if len(unique_in_order(recorded.item)) >= numbers["items"]:
            break
        recorded = scene.clean.visit(scene.generator, least=6, most=25)
    begins = scene.starts(scene.whole(numbers["sessions"]), numbers["hours"] * 3600)
    return tuple(_replay_visit(scene, recorded, int(start)) for start in begins)


def _replay_visit(scene: Scene, recorded: Visit, start: int) -> Visit:
    gaps = np.minimum(np.diff(recorded.elapsed_ms, prepend=0), 60_000)
    if scene.strength is Strength.JITTERED:
        gaps = np.rint(gaps * scene.generator.uniform(0.5, 1.5, len(gaps))).astype(np.int64)
    if scene.strength is Strength.MIMIC:
        gaps = scene.clean.gaps(scene.generator, len(gaps))
        gaps[0] = 0
    return Visit(start + np.cumsum(gaps), recorded.item)


def _site_flood(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """Sessions without number, each of a few quick clicks, fall upon the whole site at once."""
    begins = scene.starts(scene.whole(numbers["sessions"]), numbers["minutes"] * 60)
    return tuple(_flood_visit(scene, numbers, int(start)) for start in begins)


def _flood_visit(scene: Scene, numbers: Numbers, start: int) -> Visit:
    if scene.strength is Strength.MIMIC:
        copy = scene.clean.visit(scene.generator)
        return replace(copy, elapsed_ms=start + copy.elapsed_ms)
    clicks = scene.whole(scene.generator.uniform(0.7, 1.3) * numbers["clicks"], 3)
    elapsed: Ints = start + scene.paced(clicks, numbers["gap_seconds"] * 1000, 0.8)
    return Visit(elapsed, scene.items(clicks))


FAMILIES: Mapping[str, Family] = {
    "click_farm": Family(
        "Hundreds of short sessions click one item.",
        _click_farm,
        lambda numbers: max(200.0, numbers["clicks"]),
        {
            "sessions": Limit("Sessions of one farm.", 2, 10_000),
            "hours": Limit("The time in which they begin.", 0.01, 24),
            "clicks": Limit("Clicks of a session at the most.", 1, 20),
        },
    ),
    "lockstep_farm": Family(
        "Many sessions begin close together and click the same set of items.",
        _lockstep_farm,
        lambda numbers: numbers["items"] + 3,
        {
            "sessions": Limit("Sessions of one farm.", 2, 10_000),
            "items": Limit("Items of the set.", 2, 50),
            "minutes": Limit("The time in which they begin.", 0.1, 600),
        },
    ),
    "replayed_session": Family(
        "A session is recorded once and played again under new ids.",
        _replayed_session,
        lambda _: 25,
        {
            "sessions": Limit("How often it is played.", 2, 10_000),
            "items": Limit("Different items it has at least, where there is such a one.", 1, 15),
            "hours": Limit("The time in which they begin.", 0.01, 24),
        },
    ),
    "site_flood": Family(
        "Sessions without number, each of a few quick clicks, fall upon the whole site at once.",
        _site_flood,
        lambda numbers: max(200.0, 1.3 * numbers["clicks"]),
        {
            "sessions": Limit("Sessions of one flood.", 2, 100_000),
            "minutes": Limit("The time in which they begin.", 0.1, 600),
            "clicks": Limit("Mean clicks of a session.", 3, 50),
            "gap_seconds": Limit("Mean pause between two of them.", 0.01, 60),
        },
    ),
}
