"""Where an attack takes place: its chance, its strength, the shop's items, the clean sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from clickstream_guardian.lab.columns import Clicks, Index, Ints, Purchases


def _none() -> Ints:
    return np.empty(0, dtype=np.int64)


class Strength(StrEnum):
    """How hard an attacking session tries to pass for a person."""

    NAIVE = "naive"  # as the family is
    JITTERED = "jittered"  # pauses and order shaken, decoys among the items
    MIMIC = "mimic"  # only the defining trait is left; the rest is resampled from clean sessions
    CONTROL = "control"  # no attack: a person who may look like one


@dataclass(frozen=True)
class Limit:
    """What a parameter means, and the least and greatest value a plan may ask for."""

    meaning: str
    low: float
    high: float


@dataclass(frozen=True)
class Visit:
    """One session: its clicks and purchase lines, in ms since the attack's beginning.

    Items are given by their index. Purchase lines carry their quantity; the price is the shop's.
    """

    elapsed_ms: Ints
    item: Index
    bought_ms: Ints = field(default_factory=_none)
    bought_item: Index = field(default_factory=_none)
    quantity: Ints = field(default_factory=_none)


@dataclass(frozen=True)
class CleanSessions:
    """The day's clean sessions, to take pauses and walks from."""

    clicks: Clicks
    first: Index
    length: Ints

    @classmethod
    def of(cls, clicks: Clicks) -> CleanSessions:
        """From the clicks of whole sessions in a row."""
        first = np.flatnonzero(clicks.ordinal == 0)
        return cls(clicks, first, np.diff(np.append(first, len(clicks))))

    def visit(self, generator: np.random.Generator, least: int = 1, most: int = 200) -> Visit:
        """A copy of a session with so many clicks, beginning at 0."""
        fitting = np.flatnonzero((self.length >= least) & (self.length <= most))
        if not len(fitting):
            fitting = np.array([int(np.argmax(self.length))])
        chosen = int(fitting[generator.integers(len(fitting))])
        rows = slice(self.first[chosen], self.first[chosen] + self.length[chosen])
        at = self.clicks.at_ms[rows]
        return Visit(at - at[0], self.clicks.item[rows].astype(np.int64))

    def gaps(self, generator: np.random.Generator, count: int) -> Ints:
        """Pauses between clicks of clean sessions, in ms."""
        later = np.flatnonzero(self.clicks.ordinal > 0)
        if not len(later):
            return np.full(count, 60_000, dtype=np.int64)
        rows = later[generator.integers(0, len(later), count)]
        return np.asarray(self.clicks.at_ms[rows] - self.clicks.at_ms[rows - 1], dtype=np.int64)

    def walk(self, generator: np.random.Generator, count: int) -> Index:
        """Items as people look at them: clean sessions, one after the other."""
        items = [self.visit(generator, least=2).item]
        while sum(map(len, items)) < count:
            items.append(self.visit(generator, least=2).item)
        return np.concatenate(items)[:count]


ItemSource = Callable[[int], Index]
"""Gives as many distinct items (by their index) as asked for, the popular ones more often."""


@dataclass(frozen=True)
class Scene:
    """What a family makes its sessions from.

    `shelves` gives all items of a community drawn at random, in the order of their ids.
    """

    generator: np.random.Generator
    strength: Strength
    items: ItemSource
    shelves: Callable[[], Index]
    clean: CleanSessions

    def paced(self, count: int, gap_ms: float, shake: float = 0.5) -> Ints:
        """Instants of clicks at a mean pause: even, shaken by up to so much, or as people pause."""
        if self.strength is Strength.MIMIC:
            gaps = self.clean.gaps(self.generator, count)
        elif self.strength is Strength.JITTERED:
            gaps = np.rint(gap_ms * (1 + shake * self.generator.uniform(-1, 1, count)))
        else:
            gaps = np.full(count, round(gap_ms))
        elapsed = np.cumsum(np.maximum(1, gaps.astype(np.int64)))
        return np.asarray(elapsed - elapsed[0], dtype=np.int64)

    def with_decoys(self, items: Index, share: float = 0.1) -> Index:
        """The items; if not naive, a share of them exchanged for others that people look at."""
        if self.strength is not Strength.JITTERED:
            return items
        swapped = np.array(items, dtype=np.int64)
        places = np.flatnonzero(self.generator.random(len(items)) < share)
        swapped[places] = self.clean.walk(self.generator, len(places) + 1)[: len(places)]
        return swapped

    def starts(self, count: int, within_seconds: float) -> Ints:
        """Beginnings of sessions, at random within a stretch of time (ms)."""
        return np.sort(self.generator.integers(0, max(1, round(within_seconds * 1000)), count))

    def whole(self, value: float, least: int = 1) -> int:
        """A drawn number as a count."""
        return max(least, round(value))


Numbers = Mapping[str, float]
Builder = Callable[[Scene, Numbers], tuple[Visit, ...]]


@dataclass(frozen=True)
class Family:
    """A way to attack, or a control: its function, its size, and what a plan must give.

    `clicks` is the number of clicks of one session, `build` makes as many sessions as the
    parameter `sessions` says, one without it.
    """

    meaning: str
    build: Builder
    clicks: Callable[[Numbers], float]
    parameters: Mapping[str, Limit]
    control: bool = False


def unique_in_order(items: Index) -> Index:
    """Each item once, where it stands first."""
    first = np.unique(items, return_index=True)[1]
    return items[np.sort(first)]


def no_purchases() -> Purchases:
    """Purchase columns without rows."""
    empty = np.empty(0, dtype=np.int64)
    short = np.empty(0, dtype=np.int32)
    return Purchases(empty, empty, short, short, short, short)
