"""The families of attacks: each is one function that makes one session from its drawn numbers.

A new family is a function and its entry in `FAMILIES`; the plan loader, the labels and the
documentation test follow from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from clickstream_guardian.lab.columns import Index, Ints

ItemSource = Callable[[int], Index]
"""Gives as many distinct items (by their index) as asked for, the popular ones more often."""


@dataclass(frozen=True)
class Limit:
    """What a parameter means, and the least and greatest value a plan may ask for."""

    meaning: str
    low: float
    high: float


@dataclass(frozen=True)
class Visit:
    """The clicks of one attacking session: ms since its first click, and items by their index."""

    elapsed_ms: Ints
    item: Index


Numbers = Mapping[str, float]
Builder = Callable[[np.random.Generator, Numbers, ItemSource], Visit]


@dataclass(frozen=True)
class Family:
    """A way to attack: its function, how many clicks a session has, and what a plan must give."""

    meaning: str
    build: Builder
    clicks: Callable[[Numbers], float]
    parameters: Mapping[str, Limit]


def _runaway_burst(generator: np.random.Generator, numbers: Numbers, items: ItemSource) -> Visit:
    """A client that lost control hammers a handful of pages, at random instants."""
    clicks = max(2, round(_burst_clicks(numbers)))
    elapsed = np.sort(generator.integers(0, round(numbers["seconds"] * 1000), clicks))
    pages = items(max(1, round(numbers["pages"])))
    return Visit(elapsed - elapsed[0], generator.choice(pages, clicks))


def _fast_bot(generator: np.random.Generator, numbers: Numbers, items: ItemSource) -> Visit:
    """A bot walks over a few items again and again, at a nearly regular pace."""
    clicks = max(2, round(_bot_clicks(numbers)))
    pause = 60_000 / numbers["clicks_per_minute"]
    jitter = 1 + numbers["jitter"] * generator.uniform(-1, 1, clicks)
    elapsed = np.cumsum(np.maximum(1, np.rint(pause * jitter))).astype(np.int64)
    watched = items(max(1, round(numbers["items"])))
    return Visit(elapsed - elapsed[0], watched[np.arange(clicks) % len(watched)])


def _burst_clicks(numbers: Numbers) -> float:
    return numbers["clicks_per_second"] * numbers["seconds"]


def _bot_clicks(numbers: Numbers) -> float:
    return numbers["clicks_per_minute"] * numbers["seconds"] / 60


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
}
