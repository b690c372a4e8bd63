"""The metrics again, slow and obvious: plain loops over plain rows, one day after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from clickstream_guardian.metrics.model import Metric

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RawClick:
    """A row of ``raw.clicks``."""

    event_id: bytes
    session_id: str
    occurred_at: datetime
    item_id: str
    category: str | None
    source: str
    partition: int
    offset: int
    received_at: datetime

    @property
    def dt(self) -> str:
        """Its day."""
        return self.occurred_at.strftime("%Y-%m-%d")


@dataclass(frozen=True)
class RawPurchase:
    """A row of ``raw.purchases``."""

    event_id: bytes
    session_id: str
    occurred_at: datetime
    item_id: str
    price: Decimal | None
    quantity: int | None
    source: str
    partition: int
    offset: int
    received_at: datetime

    @property
    def dt(self) -> str:
        """Its day."""
        return self.occurred_at.strftime("%Y-%m-%d")

    @property
    def amount(self) -> Decimal | None:
        """Price times quantity, where both are known."""
        if self.price is None or self.quantity is None:
            return None
        return self.price * self.quantity


def expected_metrics(
    raw_clicks: Sequence[RawClick], raw_purchases: Sequence[RawPurchase], dts: Iterable[str]
) -> dict[str, list[Row]]:
    """The rows of every metric, sorted by key, bytewise."""
    result: dict[str, list[Row]] = {
        "daily_metrics": [],
        "session_funnel": [],
        "item_daily": [],
        "popular_categories": [],
    }
    for dt in sorted(dts):
        landed_clicks = [row for row in raw_clicks if row.dt == dt]
        landed_purchases = [row for row in raw_purchases if row.dt == dt]
        clicks, purchases = each_once(landed_clicks), each_once(landed_purchases)
        source_rows = len(landed_clicks) + len(landed_purchases)
        result["daily_metrics"].append(_daily_metrics(dt, clicks, purchases, source_rows))
        result["session_funnel"] += _session_funnel(dt, clicks, purchases)
        result["item_daily"] += _item_daily(dt, clicks, purchases)
        result["popular_categories"] += _popular_categories(dt, clicks, purchases)
    return result


def by_key(metric: Metric, rows: Iterable[Row]) -> list[Row]:
    """Rows of a metric in the order in which ``expected_metrics`` has them."""
    return sorted(rows, key=lambda row: [row[name].encode() for name in metric.key])


def each_once(rows: Sequence[Any]) -> list[Any]:
    """Of the rows of one day with the same id, the one that arrived first."""
    first: dict[bytes, Any] = {}
    for row in rows:
        known = first.get(row.event_id)
        if known is None or _arrival(row) < _arrival(known):
            first[row.event_id] = row
    return list(first.values())


def _arrival(row: RawClick | RawPurchase) -> tuple[datetime, str, int, int]:
    return (row.received_at, row.source, row.partition, row.offset)


def _milliseconds(instant: datetime) -> int:
    elapsed = instant - EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000


def _revenue(purchases: Iterable[RawPurchase]) -> Decimal:
    return sum((row.amount for row in purchases if row.amount is not None), Decimal("0.00"))


def _daily_metrics(
    dt: str, clicks: list[RawClick], purchases: list[RawPurchase], source_rows: int
) -> Row:
    sessions = {row.session_id for row in [*clicks, *purchases]}
    duration = 0
    for session in sessions:
        times = [row.occurred_at for row in [*clicks, *purchases] if row.session_id == session]
        duration += _milliseconds(max(times)) - _milliseconds(min(times))
    priced = [row for row in purchases if row.amount is not None]
    return {
        "dt": dt,
        "total_clicks": len(clicks),
        "total_purchases": len(purchases),
        "unique_sessions": len(sessions),
        "unique_items": len({row.item_id for row in clicks}),
        "buying_sessions": len({row.session_id for row in purchases}),
        "priced_purchases": len(priced),
        "priced_sessions": len({row.session_id for row in priced}),
        "total_revenue": _revenue(purchases),
        "total_duration_ms": duration,
        "source_rows": source_rows,
    }


def _session_funnel(dt: str, clicks: list[RawClick], purchases: list[RawPurchase]) -> list[Row]:
    viewed = multi_viewed = purchased = direct = 0
    for session in {row.session_id for row in [*clicks, *purchases]}:
        click_times = sorted(row.occurred_at for row in clicks if row.session_id == session)
        buy_times = [row.occurred_at for row in purchases if row.session_id == session]
        viewed += len(click_times) >= 1
        multi_viewed += len(click_times) >= 2
        after_second = len(click_times) >= 2 and any(at >= click_times[1] for at in buy_times)
        purchased += after_second
        direct += bool(buy_times) and not after_second
    steps = [
        ("VIEW", 1, viewed, viewed, 0, 0),
        ("MULTI_VIEW", 2, multi_viewed, viewed, viewed, viewed - multi_viewed),
        ("PURCHASE", 3, purchased, viewed, multi_viewed, multi_viewed - purchased),
        ("DIRECT_PURCHASE", 4, direct, 0, 0, 0),
    ]
    names = (
        *("step", "step_number", "sessions"),
        *("first_sessions", "previous_sessions", "lost_sessions"),
    )
    return [{"dt": dt, **dict(zip(names, step, strict=True))} for step in sorted(steps)]


def _item_daily(dt: str, clicks: list[RawClick], purchases: list[RawPurchase]) -> list[Row]:
    rows = []
    for item in sorted({row.item_id for row in [*clicks, *purchases]}, key=str.encode):
        seen = [row for row in clicks if row.item_id == item]
        bought = [row for row in purchases if row.item_id == item]
        rows.append(
            {
                "dt": dt,
                "item_id": item,
                "clicks": len(seen),
                "sessions": len({row.session_id for row in [*seen, *bought]}),
                "purchases": len(bought),
                "revenue": _revenue(bought),
            }
        )
    return rows


def category_of(purchase: RawPurchase, clicks: Iterable[RawClick]) -> str:
    """The category a purchase line belongs to."""
    before = [
        row
        for row in clicks
        if row.dt == purchase.dt
        and row.session_id == purchase.session_id
        and row.item_id == purchase.item_id
        and row.occurred_at <= purchase.occurred_at
    ]
    if not before:
        return "unknown"
    last = max(before, key=lambda row: (row.occurred_at, row.event_id))
    return "unknown" if last.category is None else last.category


def _popular_categories(dt: str, clicks: list[RawClick], purchases: list[RawPurchase]) -> list[Row]:
    placed = [(category_of(row, clicks), row) for row in purchases]
    named = [("unknown" if row.category is None else row.category, row) for row in clicks]
    rows = []
    for category in sorted({name for name, _ in [*placed, *named]}, key=str.encode):
        seen = [row for name, row in named if name == category]
        bought = [row for name, row in placed if name == category]
        rows.append(
            {
                "dt": dt,
                "category": category,
                "clicks": len(seen),
                "sessions": len({row.session_id for row in [*seen, *bought]}),
                "purchases": len(bought),
                "revenue": _revenue(bought),
            }
        )
    return rows


def popular_items(item_daily: Sequence[Row]) -> list[Row]:
    """The view ``popular_items`` over the rows of ``item_daily``, sorted by its key."""
    rows = []
    for dt in sorted({row["dt"] for row in item_daily}):
        for ranking in ("clicks", "purchases", "revenue"):
            ranked = [row for row in item_daily if row["dt"] == dt and row[ranking] > 0]
            ranked.sort(key=lambda row: (-row[ranking], row["item_id"].encode()))
            rows += [
                {"dt": dt, "ranking": ranking, "rank": rank, **row}
                for rank, row in enumerate(ranked[:100], start=1)
            ]
    return rows
