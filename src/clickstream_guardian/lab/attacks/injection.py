"""The attacking sessions of a day, with their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.attacks.families import FAMILIES
from clickstream_guardian.lab.attacks.plan import Attack, AttackPlan
from clickstream_guardian.lab.columns import Clicks, Index, Ints
from clickstream_guardian.lab.days import Day, Stream
from clickstream_guardian.lab.traffic import Shop

MOST_CLICKS_A_DAY = 20_000_000
"""What all attacks of one part of a day may make together: it is held in memory."""

_HOUR_MS = 3_600_000
_DRAWS = 20
_NO_CLICKS = Clicks(
    session_id=np.empty(0, dtype=np.int64),
    at_ms=np.empty(0, dtype=np.int64),
    ordinal=np.empty(0, dtype=np.int32),
    item=np.empty(0, dtype=np.int32),
    category=np.empty(0, dtype=np.uint8),
)


@dataclass(frozen=True)
class Label:
    """The truth about one injected session."""

    session_id: int
    attack: str
    family: str


@dataclass(frozen=True)
class Injection:
    """The attacking sessions of one part of a day."""

    clicks: Clicks
    labels: tuple[Label, ...]


def inject(shop: Shop, day: Day, plan: AttackPlan, spare_ids: Ints) -> Injection:
    """The attacks that the plan puts on this part of the day.

    Raises:
        UsageError: The plan asks for more than there are ids for, or than fits in memory.
    """
    generator = day.stream(Stream.ATTACKS)
    counts = [int(attack.share * day.sessions + generator.random()) for attack in plan.attacks]
    _check_size(day, plan, counts, len(spare_ids))
    chosen = [attack for attack, n in zip(plan.attacks, counts, strict=True) for _ in range(n)]
    labels = tuple(
        Label(int(session_id), attack.name, attack.family)
        for session_id, attack in zip(spare_ids[: len(chosen)], chosen, strict=True)
    )
    picker = _ItemPicker(generator, shop, day)
    clicks = [
        _session(generator, shop, day, attack, picker, label.session_id)
        for attack, label in zip(chosen, labels, strict=True)
    ]
    return Injection(Clicks.join([_NO_CLICKS, *clicks]), labels)


def _check_size(day: Day, plan: AttackPlan, counts: list[int], ids: int) -> None:
    if sum(counts) > ids:
        raise UsageError(
            f"The attacks ask for {sum(counts):,} sessions on {day.day}, where {ids:,} ids are "
            f"left; lower their shares."
        )
    clicks = sum(
        count * FAMILIES[attack.family].clicks({w: r.high for w, r in attack.parameters.items()})
        for attack, count in zip(plan.attacks, counts, strict=True)
    )
    if clicks > MOST_CLICKS_A_DAY:
        raise UsageError(
            f"The attacks can make {clicks:,.0f} clicks on {day.day}, more than "
            f"{MOST_CLICKS_A_DAY:,}; lower their shares or lengths."
        )


def _session(
    generator: np.random.Generator,
    shop: Shop,
    day: Day,
    attack: Attack,
    picker: _ItemPicker,
    session_id: int,
) -> Clicks:
    numbers = {
        word: generator.uniform(span.low, span.high) for word, span in attack.parameters.items()
    }
    start = day.start_ms + generator.uniform(attack.hours.low, attack.hours.high) * _HOUR_MS
    visit = FAMILIES[attack.family].build(generator, numbers, picker.distinct)
    return Clicks(
        session_id=np.full(len(visit.item), session_id, dtype=np.int64),
        at_ms=int(min(start, day.start_ms + 24 * _HOUR_MS - 1)) + visit.elapsed_ms,
        ordinal=np.arange(len(visit.item), dtype=np.int32),
        item=visit.item.astype(np.int32),
        category=np.full(len(visit.item), shop.contexts.usual(day), dtype=np.uint8),
    )


@dataclass(frozen=True)
class _ItemPicker:
    """Draws the items that attacks go for: the week's popular ones, like people do."""

    generator: np.random.Generator
    shop: Shop
    day: Day

    def distinct(self, count: int) -> Index:
        """As many different items as asked for, or all there are."""
        table = self.shop.week_table(self.day.week)
        found: Index = np.empty(0, dtype=np.int64)
        for _ in range(_DRAWS):
            community = self.shop.browser.draw_communities(self.generator, count)
            drawn = np.searchsorted(table, community + self.generator.random(count), "right")
            found = _unique_in_order(np.concatenate([found, drawn]))
            if len(found) >= count:
                return found[:count]
        return _unique_in_order(np.concatenate([found, np.arange(len(table))]))[:count]


def _unique_in_order(items: Index) -> Index:
    first = np.unique(items, return_index=True)[1]
    return items[np.sort(first)]
