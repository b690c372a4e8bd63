"""The shop's items: ids, communities of items looked at together, and what is popular when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.columns import Floats, Ints
from clickstream_guardian.lab.parameters import Buying, Items

_FIRST_ITEM = 214_500_000
_ID_RANGE = 499_000


@dataclass(frozen=True)
class Catalogue:
    """All items by their index: those of one community in a row, those of one family in a row.

    A family is one product in its variants: at most 5 items whose ids lie within 10.
    `popularity` is what an item is worth in its best week, `birth` the week it comes up and
    `half_life` the weeks in which it then loses half of it.
    """

    settings: Items
    item_id: Ints
    family_start: npt.NDArray[np.int32]
    family_size: npt.NDArray[np.int32]
    community_end: Ints
    popularity: Floats
    birth: Floats
    half_life: Floats
    price: npt.NDArray[np.int32]

    def week_table(self, week: int) -> Floats:
        """Running weights of all items in one week; community c spans c to c + 1."""
        age = (week - self.birth) % self.settings.cycle_weeks
        life = np.where(age < 1, age, np.exp2((1 - age) / self.half_life))
        weights = self.popularity * life + self.settings.tail_weight
        running = np.cumsum(weights)
        ends = running[self.community_end - 1]
        before = np.concatenate([[0.0], ends[:-1]])
        sizes = np.diff(self.community_end, prepend=0)
        community = np.arange(len(sizes))
        spread = np.repeat(before, sizes), np.repeat(ends - before, sizes)
        table: Floats = np.repeat(community, sizes) + (running - spread[0]) / spread[1]
        table[self.community_end - 1] = community + 1
        return table


def build_catalogue(items: Items, buying: Buying) -> Catalogue:
    """The catalogue that the parameters describe; it does not depend on the traffic's seed."""
    generator = np.random.Generator(np.random.PCG64(items.catalogue_seed))
    sizes = np.array(items.community_items)
    ends = np.cumsum(sizes)
    within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
    variant = within % items.family_items
    family_start = np.arange(ends[-1]) - variant
    family_size = np.minimum(items.family_items, np.repeat(ends, sizes) - family_start)
    units = np.exp(
        np.log(buying.price_median_units)
        + buying.price_sigma * generator.standard_normal(len(within))
    )
    price = np.rint(buying.price_unit * np.maximum(1, np.rint(units)))
    return Catalogue(
        settings=items,
        item_id=_ids(generator, family_start, variant),
        family_start=family_start.astype(np.int32),
        family_size=family_size.astype(np.int32),
        community_end=ends,
        popularity=_popularity(generator, items, sizes),
        birth=generator.uniform(0, items.cycle_weeks, ends[-1]),
        half_life=generator.lognormal(
            np.log(items.half_life_weeks), items.half_life_sigma, ends[-1]
        ),
        price=np.minimum(price, buying.price_limit).astype(np.int32),
    )


def _ids(generator: np.random.Generator, family_start: Ints, variant: Ints) -> Ints:
    """Ids in no order of community or popularity, those of one family within 10."""
    families, family = np.unique(family_start, return_inverse=True)
    stride = max(10, _ID_RANGE // len(families))
    places = generator.permutation(len(families)) * stride
    return np.asarray(_FIRST_ITEM + places[family] + 2 * variant, dtype=np.int64)


def _popularity(generator: np.random.Generator, items: Items, sizes: Ints) -> Floats:
    """A bent power law over the ranks of each community, ranks in no order of the ids."""
    ranks = np.concatenate([generator.permutation(size) for size in sizes])
    ranks = ranks / np.repeat(sizes, sizes) * sizes.mean()
    law = (ranks + items.rank_offset) ** -items.rank_exponent * np.exp(-ranks / items.rank_scale)
    noise = np.exp(items.rank_noise_sigma * generator.standard_normal(len(ranks)))
    return np.asarray(law * noise, dtype=np.float64)
