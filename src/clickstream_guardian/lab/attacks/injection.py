"""The attacking sessions of a day, with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.attacks.families import FAMILIES
from clickstream_guardian.lab.attacks.ground import Ground
from clickstream_guardian.lab.attacks.plan import Attack, AttackPlan
from clickstream_guardian.lab.attacks.scene import (
    CleanSessions,
    Scene,
    Visit,
    no_purchases,
)
from clickstream_guardian.lab.columns import Clicks, Ints, Purchases
from clickstream_guardian.lab.days import Day, Stream

MOST_CLICKS_A_DAY = 20_000_000
"""What all attacks of one part of a day may make together: it is held in memory."""

_HOUR_MS = 3_600_000
_NO_CLICKS = Clicks(
    session_id=np.empty(0, dtype=np.int64),
    at_ms=np.empty(0, dtype=np.int64),
    ordinal=np.empty(0, dtype=np.int32),
    item=np.empty(0, dtype=np.int32),
    category=np.empty(0, dtype=np.uint8),
)


@dataclass(frozen=True)
class Label:
    """The truth about one injected session: which attack, and how well hidden."""

    session_id: int | str
    attack: str
    family: str
    strength: str


@dataclass(frozen=True)
class Injection:
    """The attacking sessions of one part of a day."""

    clicks: Clicks
    purchases: Purchases
    labels: tuple[Label, ...]


def inject(
    ground: Ground, day: Day, plan: AttackPlan, spare_ids: Ints, clean_clicks: Clicks
) -> Injection:
    """The attacks that the plan puts on this part of the day.

    Args:
        ground: the items to go for.
        day: the part of the day.
        plan: which attacks, and how many.
        spare_ids: session ids that no clean session has.
        clean_clicks: the day's clean sessions, from which mimics and controls copy.

    Raises:
        UsageError: The plan asks for more than there are ids for, or than fits in memory.
    """
    generator = day.stream(Stream.ATTACKS)
    counts = [
        int(attack.share * day.sessions / attack.sessions + generator.random())
        for attack in plan.attacks
    ]
    _check_size(day, plan, counts, len(spare_ids))
    clean = CleanSessions.of(clean_clicks)
    ids = iter(spare_ids.tolist())
    clicks, purchases, labels = [_NO_CLICKS], [no_purchases()], []
    for attack, count in zip(plan.attacks, counts, strict=True):
        for start_ms, visits in _occasions(generator, ground, day, clean, attack, count):
            for visit in visits:
                session_id = next(ids)
                labels.append(Label(session_id, attack.name, attack.family, attack.strength))
                clicks.append(_clicks(ground, session_id, start_ms, visit))
                if len(visit.bought_item):
                    purchases.append(_purchases(ground, session_id, start_ms, visit))
    return Injection(Clicks.join(clicks), Purchases.join(purchases), tuple(labels))


def _check_size(day: Day, plan: AttackPlan, counts: list[int], ids: int) -> None:
    sessions = sum(
        count * round(attack.most_sessions)
        for attack, count in zip(plan.attacks, counts, strict=True)
    )
    if sessions > ids:
        raise UsageError(
            f"The attacks ask for {sessions:,} sessions on {day.day}, where {ids:,} ids are "
            f"left; lower their shares."
        )
    clicks = sum(
        count
        * attack.most_sessions
        * FAMILIES[attack.family].clicks({w: r.high for w, r in attack.parameters.items()})
        for attack, count in zip(plan.attacks, counts, strict=True)
    )
    if clicks > MOST_CLICKS_A_DAY:
        raise UsageError(
            f"The attacks can make {clicks:,.0f} clicks on {day.day}, more than "
            f"{MOST_CLICKS_A_DAY:,}; lower their shares or lengths."
        )


def _occasions(
    generator: np.random.Generator,
    ground: Ground,
    day: Day,
    clean: CleanSessions,
    attack: Attack,
    count: int,
) -> Iterator[tuple[int, tuple[Visit, ...]]]:
    """Each time the attack happens: when it begins, and its sessions."""
    items, shelf = partial(ground.distinct, generator), partial(ground.shelf, generator)
    scene = Scene(generator, attack.strength, items, shelf, clean)
    for _ in range(count):
        numbers = {
            word: generator.uniform(span.low, span.high) for word, span in attack.parameters.items()
        }
        start = day.start_ms + generator.uniform(attack.hours.low, attack.hours.high) * _HOUR_MS
        visits = FAMILIES[attack.family].build(scene, numbers)
        yield int(min(start, day.start_ms + 24 * _HOUR_MS - 1)), visits


def _clicks(ground: Ground, session_id: int, start_ms: int, visit: Visit) -> Clicks:
    return Clicks(
        session_id=np.full(len(visit.item), session_id, dtype=np.int64),
        at_ms=start_ms + visit.elapsed_ms,
        ordinal=np.arange(len(visit.item), dtype=np.int32),
        item=visit.item.astype(np.int32),
        category=np.full(len(visit.item), ground.category, dtype=np.uint8),
    )


def _purchases(ground: Ground, session_id: int, start_ms: int, visit: Visit) -> Purchases:
    count = len(visit.bought_item)
    return Purchases(
        session_id=np.full(count, session_id, dtype=np.int64),
        at_ms=start_ms + visit.bought_ms,
        ordinal=np.arange(count, dtype=np.int32),
        item=visit.bought_item.astype(np.int32),
        price=ground.price[visit.bought_item],
        quantity=visit.quantity.astype(np.int32),
    )
