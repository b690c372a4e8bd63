"""What must not be judged: people, and the shop's own good days, that may look like an attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from clickstream_guardian.lab.attacks.scene import (
    Family,
    Limit,
    Numbers,
    Scene,
    Visit,
)
from clickstream_guardian.lab.columns import Index


def _flash_sale(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """People come for one item on sale, look around as ever, and some buy it."""
    return _campaign(scene, scene.items(1), numbers)


def _promotion_wave(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A newsletter sends people to one of several items; from there they go their own ways."""
    return _campaign(scene, scene.items(scene.whole(numbers["items"])), numbers)


def _campaign(scene: Scene, promoted: Index, numbers: Numbers) -> tuple[Visit, ...]:
    begins = scene.starts(scene.whole(numbers["sessions"]), numbers["hours"] * 3600)
    return tuple(_guest(scene, promoted, int(start)) for start in begins)


def _guest(scene: Scene, promoted: Index, start: int) -> Visit:
    """A clean session whose entry item is a promoted one; one in ten buys it."""
    copy = scene.clean.visit(scene.generator)
    entry = int(promoted[scene.generator.integers(len(promoted))])
    items = np.where(copy.item == copy.item[0], entry, copy.item)
    elapsed = start + copy.elapsed_ms
    if scene.generator.random() >= 0.1:
        return Visit(elapsed, items)
    one = np.ones(1, dtype=np.int64)
    return Visit(elapsed, items, elapsed[-1:] + 90_000, np.array([entry]), one)


def _power_shopper(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A person who looks at very much in one sitting, in a person's rhythm."""
    clicks = scene.whole(numbers["clicks"], 2)
    gaps = np.minimum(scene.clean.gaps(scene.generator, clicks), 300_000)
    gaps = np.maximum(2_000, gaps * numbers["minutes"] * 60_000 / max(1, int(gaps.sum())))
    elapsed = np.cumsum(gaps.astype(np.int64))
    return (Visit(elapsed - elapsed[0], scene.clean.walk(scene.generator, clicks)),)


def _bulk_order(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A firm orders many different items in one go."""
    lines = scene.whole(numbers["lines"])
    copy = scene.clean.visit(scene.generator, least=2)
    at = np.full(lines, copy.elapsed_ms[-1] + 120_000) + np.arange(lines) * 10
    quantity = scene.generator.integers(1, 20, lines)
    return (replace(copy, bought_ms=at, bought_item=scene.items(lines), quantity=quantity),)


def _auto_refresh(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """A tab is left open on an item and loads it anew at even pauses."""
    copy = scene.clean.visit(scene.generator, least=2, most=10)
    count = scene.whole(numbers["hours"] * 3600 / numbers["gap_seconds"])
    refreshed = copy.elapsed_ms[-1] + (1 + np.arange(count)) * round(numbers["gap_seconds"] * 1000)
    elapsed = np.concatenate([copy.elapsed_ms, refreshed])
    items = np.concatenate([copy.item, np.full(count, copy.item[-1])])
    return (Visit(elapsed, items),)


def _outage_rush(scene: Scene, numbers: Numbers) -> tuple[Visit, ...]:
    """The site was down; those who waited come all at once, and more than usual."""
    begins = scene.starts(scene.whole(numbers["sessions"]), numbers["minutes"] * 60)
    copies = [scene.clean.visit(scene.generator) for _ in begins]
    return tuple(
        replace(copy, elapsed_ms=int(start) + copy.elapsed_ms)
        for start, copy in zip(begins, copies, strict=True)
    )


_SESSIONS = Limit("Sessions of one occasion.", 2, 100_000)

FAMILIES: Mapping[str, Family] = {
    "flash_sale": Family(
        "People come for one item on sale and look around as ever.",
        _flash_sale,
        lambda _: 201,
        {"sessions": _SESSIONS, "hours": Limit("The time in which they begin.", 0.01, 24)},
        control=True,
    ),
    "promotion_wave": Family(
        "A newsletter sends people to one of several items.",
        _promotion_wave,
        lambda _: 201,
        {
            "sessions": _SESSIONS,
            "items": Limit("Items promoted.", 1, 100),
            "hours": Limit("The time in which they begin.", 0.01, 24),
        },
        control=True,
    ),
    "power_shopper": Family(
        "A person looks at very much in one sitting.",
        _power_shopper,
        lambda numbers: numbers["clicks"],
        {
            "clicks": Limit("Clicks of the session.", 2, 1_000),
            "minutes": Limit("The time they take.", 1, 600),
        },
        control=True,
    ),
    "bulk_order": Family(
        "A firm orders many different items in one go.",
        _bulk_order,
        lambda numbers: 200 + numbers["lines"],
        {"lines": Limit("Purchase lines.", 1, 1_000)},
        control=True,
    ),
    "auto_refresh": Family(
        "A tab left open on an item loads it anew at even pauses.",
        _auto_refresh,
        lambda numbers: 10 + numbers["hours"] * 3600 / numbers["gap_seconds"],
        {
            "gap_seconds": Limit("Pause between two loads.", 1, 3_600),
            "hours": Limit("How long it goes on.", 0.1, 24),
        },
        control=True,
    ),
    "outage_rush": Family(
        "After an outage those who waited come all at once.",
        _outage_rush,
        lambda _: 200,
        {
            "sessions": _SESSIONS,
            "minutes": Limit("The time in which they begin.", 0.1, 600),
        },
        control=True,
    ),
}
