"""What a person looks at: the item and the category of every click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.catalogue import Catalogue
from clickstream_guardian.lab.columns import Floats, Index
from clickstream_guardian.lab.days import Day
from clickstream_guardian.lab.parameters import Categories, Items
from clickstream_guardian.lab.visits import Sessions, pick, running_shares

Rows = npt.NDArray[np.int32]
MISSING = "0"


@dataclass(frozen=True)
class Browser:
    """The laws of the walk through the catalogue."""

    settings: Items
    catalogue: Catalogue
    communities: Floats

    def draw_communities(self, generator: np.random.Generator, count: int) -> Index:
        """The community each session is interested in."""
        return pick(self.communities, generator.random(count))

    def draw_items(
        self,
        generator: np.random.Generator,
        sessions: Sessions,
        community: Index,
        week_table: Floats,
    ) -> Rows:
        """The item (by its index) of every click.

        A click stays on the item, returns to an earlier one, goes to another of the same family,
        or is a fresh pick by the week's popularity. All but the fresh ones point to an earlier
        row of their session and perhaps some variants on; following the pointers settles them.
        """
        rows = np.arange(len(sessions.owner), dtype=np.int32)
        pointer, shift = self._pointers(generator, sessions, rows)
        fresh = np.flatnonzero(pointer == rows)
        item = np.zeros(len(rows), dtype=np.int32)
        item[fresh] = self._fresh(generator, community[sessions.owner[fresh]], week_table)
        root, shift = _follow(pointer, shift)
        return self._variant(item[root], shift)

    def _pointers(
        self, generator: np.random.Generator, sessions: Sessions, rows: Rows
    ) -> tuple[Rows, Rows]:
        settings = self.settings
        kind = generator.random(len(rows), dtype=np.float32)
        kind[sessions.first] = 1.0
        same = settings.same_item
        earlier = same + settings.earlier_item
        family = earlier + settings.family_item
        back = np.zeros(len(rows), dtype=np.int32)
        back[(kind < same) | ((kind >= earlier) & (kind < family))] = 1
        again = np.flatnonzero((kind >= same) & (kind < earlier))
        back[again] = 1 + generator.random(len(again)) * sessions.ordinal[again]
        shift = np.zeros(len(rows), dtype=np.int32)
        aside = np.flatnonzero((kind >= earlier) & (kind < family))
        shift[aside] = generator.integers(1, max(2, settings.family_items), len(aside))
        return rows - back, shift

    def _fresh(self, generator: np.random.Generator, own: Index, week_table: Floats) -> Index:
        """Picks from the session's own community, or from any."""
        elsewhere = generator.random(len(own), dtype=np.float32) >= self.settings.own_community
        community = own.copy()
        community[elsewhere] = pick(self.communities, generator.random(int(elsewhere.sum())))
        return pick(week_table, community + generator.random(len(own)))

    def _variant(self, item: Rows, shift: Rows) -> Rows:
        moved = np.flatnonzero(shift)
        start = self.catalogue.family_start[item[moved]]
        size = self.catalogue.family_size[item[moved]]
        item[moved] = start + (item[moved] - start + shift[moved]) % size
        return item


def _follow(pointer: Rows, shift: Rows) -> tuple[Rows, Rows]:
    """Follow every pointer to its root, adding up the shifts on the way; each step doubles."""
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer, shift
        shift = shift + shift[pointer]
        pointer = further


@dataclass(frozen=True)
class Contexts:
    """The laws of the category, the context in which a click is shown."""

    settings: Categories
    names: tuple[str, ...]
    shares: Floats
    missing: int

    def usual(self, day: Day) -> int:
        """The category (by its index) most clicks of the day have."""
        if day.day < self.settings.switch_day:
            return self.missing
        return int(np.argmax(self.settings.shares))

    def draw(
        self, generator: np.random.Generator, sessions: Sessions, day: Day
    ) -> npt.NDArray[np.uint8]:
        """The category (by its index) of every click; all missing before the switch day."""
        count = len(sessions.owner)
        if day.day < self.settings.switch_day:
            return np.full(count, self.missing, dtype=np.uint8)
        constant = generator.random(len(sessions.length)) < self.settings.single_context
        kept = generator.random(count, dtype=np.float32) < self.settings.keep
        kept |= constant[sessions.owner]
        kept[sessions.first] = False
        drawn = pick(self.shares, generator.random(count)).astype(np.uint8)
        source = np.where(kept, 0, np.arange(count, dtype=np.int32))
        return drawn[np.maximum.accumulate(source)]


def build_browser(items: Items, catalogue: Catalogue) -> Browser:
    """The walk that the parameters describe."""
    return Browser(items, catalogue, running_shares(items.community_session_share))


def build_contexts(categories: Categories) -> Contexts:
    """The categories that the parameters describe, brands (8 to 10 digits) included."""
    brands = [str(10_000_000 + n * 871_782_911 % 9_000_000_000) for n in range(categories.brands)]
    named = np.array(categories.shares) / sum(categories.shares)
    branded = np.full(len(brands), categories.brand_share / max(1, len(brands)))
    return Contexts(
        settings=categories,
        names=(*categories.names, *brands),
        shares=running_shares(np.concatenate([named * (1 - categories.brand_share), branded])),
        missing=categories.names.index(MISSING),
    )
