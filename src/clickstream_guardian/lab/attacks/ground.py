"""The ground that attacks stand on: the items, how popular, in what order, at what price.

A generated shop gives it from its catalogue, files of a real one from what is seen in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.attacks.scene import unique_in_order
from clickstream_guardian.lab.columns import Floats, Index
from clickstream_guardian.lab.days import Day
from clickstream_guardian.lab.traffic import Shop

_DRAWS = 20
_SHELF_ITEMS = 500


class Ground(Protocol):
    """A day's items, by their index."""

    @property
    def price(self) -> npt.NDArray[np.int32]:
        """The price of each item, in the unit of the files to be written."""

    @property
    def category(self) -> int:
        """The category (by its index) that an attack's clicks carry."""

    def distinct(self, generator: np.random.Generator, count: int) -> Index:
        """As many different items as asked for, the day's popular ones first, or all there are."""

    def shelf(self, generator: np.random.Generator) -> Index:
        """Items that stand together, one after the other."""


@dataclass(frozen=True)
class ShopGround:
    """The items of a generated shop on one day: the week's popular ones, like people do."""

    shop: Shop
    day: Day

    @property
    def price(self) -> npt.NDArray[np.int32]:
        """The catalogue's prices."""
        return self.shop.catalogue.price

    @property
    def category(self) -> int:
        """What most clicks of the day carry."""
        return self.shop.contexts.usual(self.day)

    def distinct(self, generator: np.random.Generator, count: int) -> Index:
        """Drawn as people's own interests are."""
        table = self.shop.week_table(self.day.week)
        found: Index = np.empty(0, dtype=np.int64)
        for _ in range(_DRAWS):
            community = self.shop.browser.draw_communities(generator, count)
            drawn = np.searchsorted(table, community + generator.random(count), "right")
            found = unique_in_order(np.concatenate([found, drawn]))
            if len(found) >= count:
                return found[:count]
        return unique_in_order(np.concatenate([found, np.arange(len(table))]))[:count]

    def shelf(self, generator: np.random.Generator) -> Index:
        """All items of one community, by their ids, from one of them on."""
        ends = self.shop.catalogue.community_end
        community = int(generator.integers(len(ends)))
        begin = 0 if community == 0 else int(ends[community - 1])
        items = np.arange(begin, int(ends[community]))
        return items[np.argsort(self.shop.catalogue.item_id[items], kind="stable")]


@dataclass(frozen=True)
class SeenGround:
    """The items seen in files, in the order they stand on the shelves: by category, then by id.

    Attributes:
        popularity: running sum of each item's clicks on the day.
        price: in hundredths; 0 where no purchase tells it.
    """

    popularity: Floats
    price: npt.NDArray[np.int32]
    category: int = 0

    def distinct(self, generator: np.random.Generator, count: int) -> Index:
        """Drawn by the day's clicks; when those are used up, the others as they stand."""
        found: Index = np.empty(0, dtype=np.int64)
        for _ in range(_DRAWS):
            chance = generator.random(count) * self.popularity[-1]
            drawn = np.searchsorted(self.popularity, chance, "right")
            found = unique_in_order(np.concatenate([found, drawn]))
            if len(found) >= count:
                return found[:count]
        return unique_in_order(np.concatenate([found, np.arange(len(self.popularity))]))[:count]

    def shelf(self, generator: np.random.Generator) -> Index:
        """A run of neighbours, from anywhere on."""
        begin = int(generator.integers(len(self.popularity)))
        return np.arange(begin, min(begin + _SHELF_ITEMS, len(self.popularity)))
