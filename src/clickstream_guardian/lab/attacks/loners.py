"""Attacks by one session at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clickstream_guardian.lab.attacks.scene import (
    Family,
    Limit,
    Numbers,
    Scene,
    Strength,
    Visit,
)
from clickstream_guardian.lab.columns import Index

_MOST_MIMICKED = 400
"""Clicks of a session that keeps a person's pauses: with more it would go on for days."""


def _runaway_burst(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A client that lost control hammers a handful of pages, at random instants."""
    clicks = max(2, round(_burst_clicks(numbers)))
    if scene.strength is Strength.MIMIC:
        clicks = min(clicks, _MOST_MIMICKED)
        return (Visit(scene.paced(clicks, 0), scene.clean.walk(scene.generator, clicks)),)
    elapsed = np.sort(scene.generator.integers(0, round(numbers["seconds"] * 1000), clicks))
    pages = scene.items(max(1, round(numbers["pages"])))
    items = scene.with_decoys(scene.generator.choice(pages, clicks))
    return (Visit(elapsed - elapsed[0], items),)


def _fast_bot(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A bot walks over a few items again and again, at a nearly regular pace."""
    clicks = max(2, round(_bot_clicks(numbers)))
    if scene.strength is Strength.MIMIC:
        clicks = min(clicks, _MOST_MIMICKED)
    pause = 60_000 / numbers["clicks_per_minute"]
    jitter = 1 + numbers["jitter"] * scene.generator.uniform(-1, 1, clicks)
    gaps = np.maximum(1, np.rint(pause * jitter)).astype(np.int64)
    if scene.strength is Strength.MIMIC:
        gaps = scene.clean.gaps(scene.generator, clicks)
    elapsed = np.cumsum(gaps)
    watched = scene.items(max(1, round(numbers["items"])))
    return (Visit(elapsed - elapsed[0], _rounds(scene, watched, clicks)),)


def _rounds(scene: Scene, watched: Index, clicks: int) -> Index:
    """The same items over and over; a jittered one goes round in another order each time."""
    if scene.strength is Strength.NAIVE:
        return watched[np.arange(clicks) % len(watched)]
    turns = [scene.generator.permutation(watched) for _ in range(-(-clicks // len(watched)))]
    return np.concatenate(turns)[:clicks]


def _slow_crawler(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A crawler takes one new page after the other, slowly and for hours."""
    gap = numbers["gap_seconds"]
    clicks = scene.whole(numbers["hours"] * 3600 / gap, 2)
    if scene.strength is Strength.MIMIC:
        clicks = min(clicks, _MOST_MIMICKED)
    items = scene.with_decoys(scene.items(clicks))
    return (Visit(scene.paced(len(items), gap * 1000), items),)


def _catalogue_scraper(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A scraper opens every item once, category by category."""
    clicks = scene.whole(numbers["items"], 2)
    if scene.strength is Strength.MIMIC:
        clicks = min(clicks, _MOST_MIMICKED)
    shelf = scene.shelves()
    while len(shelf) < clicks:
        shelf = np.concatenate([shelf, scene.shelves()])
    items = shelf[:clicks]
    if scene.strength is Strength.JITTERED:
        places = np.arange(clicks) + scene.generator.uniform(0, 4, clicks)
        items = items[np.argsort(places)]
    return (Visit(scene.paced(clicks, numbers["gap_seconds"] * 1000), items),)


def _price_watcher(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A price watcher looks at the same few items round after round, at even pauses."""
    gap = numbers["gap_seconds"]
    clicks = scene.whole(numbers["hours"] * 3600 / gap, 2)
    if scene.strength is Strength.MIMIC:
        clicks = min(clicks, _MOST_MIMICKED)
    watched = scene.items(scene.whole(numbers["items"]))
    return (Visit(scene.paced(clicks, gap * 1000, 0.3), _rounds(scene, watched, clicks)),)


def _purchase_burst(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A scalper buys the same scarce item again and again before others can."""
    lines = scene.whole(numbers["lines"], 2)
    (item,) = scene.items(1)
    clicks = scene.whole(numbers["clicks"])
    browsing = scene.clean.visit(scene.generator, least=2, most=20)
    looked = np.full(clicks, item)
    seen = scene.paced(clicks, 2_000)
    bought = np.full(lines, item)
    if scene.strength is Strength.MIMIC:
        seen, looked = browsing.elapsed_ms, np.array(browsing.item)
        looked[-1] = item
    if scene.strength is Strength.JITTERED:
        others = scene.clean.walk(scene.generator, lines)
        bought = np.where(scene.generator.random(lines) < 0.15, others, bought)
    at = seen[-1] + 1_000 + scene.paced(lines, numbers["gap_seconds"] * 1000, 0.8)
    return (Visit(seen, looked, at, bought, np.ones(lines, dtype=np.int64)),)


def _burst_clicks(numbers: Numbers) -> float:
    return numbers["clicks_per_second"] * numbers["seconds"]


def _bot_clicks(numbers: Numbers) -> float:
    return numbers["clicks_per_minute"] * numbers["seconds"] / 60


def _hourly_clicks(numbers: Numbers) -> float:
    return numbers["hours"] * 3600 / numbers["gap_seconds"]


FAMILIES: Mapping[str, Family] = {
    "runaway_burst": Family(
        "One session hammers a handful of pages many times a second.",
        _runaway_burst,
        _burst_clicks,
        {
            "clicks_per_second": Limit("Mean clicks a second.", 0.1, 1_000),
            "seconds": Limit("How long it goes on.", 1, 3_600),
            "pages": Limit("Different items clicked.", 1, 1_000),
        },
    ),
    "fast_bot": Family(
        "One session goes round a few items faster than a person, at a regular pace.",
        _fast_bot,
        _bot_clicks,
        {
            "clicks_per_minute": Limit("Mean clicks a minute.", 1, 6_000),
            "seconds": Limit("How long it goes on.", 1, 86_400),
            "items": Limit("Different items clicked, one after the other.", 1, 10_000),
            "jitter": Limit("Greatest share by which a pause differs from the mean.", 0, 1),
        },
    ),
    "slow_crawler": Family(
        "One session takes one new page after the other, slowly and for hours.",
        _slow_crawler,
        _hourly_clicks,
        {
            "gap_seconds": Limit("Mean pause between two clicks.", 1, 600),
            "hours": Limit("How long it goes on.", 0.1, 24),
        },
    ),
    "catalogue_scraper": Family(
        "One session opens every item once, category by category.",
        _catalogue_scraper,
        lambda numbers: numbers["items"],
        {
            "items": Limit("Items opened.", 2, 50_000),
            "gap_seconds": Limit("Mean pause between two clicks.", 0.01, 600),
        },
    ),
    "price_watcher": Family(
        "One session looks at the same few items round after round, at even pauses.",
        _price_watcher,
        _hourly_clicks,
        {
            "items": Limit("Items watched.", 2, 1_000),
            "gap_seconds": Limit("Mean pause between two clicks.", 1, 3_600),
            "hours": Limit("How long it goes on.", 0.1, 24),
        },
    ),
    "purchase_burst": Family(
        "One session buys the same scarce item again and again.",
        _purchase_burst,
        lambda numbers: numbers["clicks"] + numbers["lines"],
        {
            "clicks": Limit("Clicks on the item before the first purchase.", 1, 100),
            "lines": Limit("Purchase lines.", 2, 10_000),
            "gap_seconds": Limit("Mean pause between two of them.", 0.01, 600),
        },
    ),
}
