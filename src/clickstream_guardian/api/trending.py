"""Trending items: whose share of the day's clicks grew most against their own previous 7 days.

    change = clicks / total_clicks - baseline_clicks / baseline_total_clicks

No change is greater than the item's share of today, so the items are looked at most clicked first,
some at a time, until the last one's share is below the worst change on the list: nothing that
comes after it could enter. The result is that of looking at all items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pydantic_core

from clickstream_guardian.store.read import Reader
from clickstream_guardian.store.read_items import (
    BASELINE_DAYS,
    MANY_CLICKS,
    rising,
    rising_in_tail,
)

_CHUNK = 300
_PLACES = Decimal("0.000001")


class NoDayError(Exception):
    """The day is not computed."""


@dataclass(frozen=True)
class Totals:
    """Clicks on all items: of the day, and of the computed days among the 7 before."""

    clicks: int
    clicks_before: int


@dataclass(frozen=True)
class Candidate:
    """An item's clicks of the day, and of the days before."""

    item_id: str
    clicks: int
    clicks_before: int

    def change(self, totals: Totals) -> int:
        """The change of share times both totals: a whole number, so nothing is rounded."""
        return self.clicks * totals.clicks_before - self.clicks_before * totals.clicks


async def trending_json(reader: Reader, dt: date | None, limit: int) -> bytes:
    """The answer for a day, by default the newest computed one.

    Raises:
        NoDayError: it is not computed.
    """
    best: list[Candidate] = []
    query, looked_at, in_tail = rising(dt, limit, 0, _CHUNK), 0, False
    while True:
        found = await reader.row(query)
        if found is None:
            raise NoDayError(dt or "asked for")
        day, totals = found[0], Totals(found[1], found[2])
        count, least_clicks, risers = found[3:]
        best = leading([*best, *(Candidate(*one) for one in risers)], totals, limit)
        if in_tail or not totals.clicks_before:
            return _as_json(day, totals, best)
        in_tail = count < _CHUNK
        if is_settled(best, totals, limit, MANY_CLICKS - 1 if in_tail else least_clicks):
            return _as_json(day, totals, best)
        looked_at += count
        query = rising_in_tail(day, limit) if in_tail else rising(day, limit, looked_at, _CHUNK)


def leading(candidates: Sequence[Candidate], totals: Totals, limit: int) -> list[Candidate]:
    """Most growth first, equal ones by id."""
    return sorted(candidates, key=lambda one: (-one.change(totals), one.item_id.encode()))[:limit]


def is_settled(best: Sequence[Candidate], totals: Totals, limit: int, clicks: int) -> bool:
    """Whether no item of at most so many clicks can enter the list."""
    if len(best) < limit:
        return False
    return best[-1].change(totals) > clicks * totals.clicks_before


def _as_json(dt: date, totals: Totals, items: Sequence[Candidate]) -> bytes:
    return pydantic_core.to_json(
        {
            "dt": dt,
            "baseline_start_date": dt - timedelta(days=BASELINE_DAYS),
            "baseline_end_date": dt - timedelta(days=1),
            "total_clicks": totals.clicks,
            "baseline_total_clicks": totals.clicks_before,
            "items": [_item(rank, item, totals) for rank, item in enumerate(items, 1)],
        }
    )


def _item(rank: int, item: Candidate, totals: Totals) -> dict[str, object]:
    share = Decimal(item.clicks) / totals.clicks
    before = Decimal(item.clicks_before) / totals.clicks_before
    return {
        "rank": rank,
        "item_id": item.item_id,
        "clicks": item.clicks,
        "share_ratio": _places(share),
        "baseline_clicks": item.clicks_before,
        "baseline_share_ratio": _places(before),
        "change_ratio": _places(share - before),
        "growth_ratio": _places(share / before) if before else None,
    }


def _places(value: Decimal) -> str:
    return str(value.quantize(_PLACES))
