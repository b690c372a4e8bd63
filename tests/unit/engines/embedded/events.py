"""Short ways to write the rows that the engine's tests land."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from tests.parity.metrics_oracle import RawClick, RawPurchase

MIDNIGHT = datetime(2014, 4, 7, tzinfo=UTC)
DAY = "2014-04-07"
RECEIVED = datetime(2014, 5, 1, tzinfo=UTC)

_numbers = count(1)


def click(
    session: str = "s",
    seconds: float = 0,
    item: str = "i",
    category: str | None = None,
    event_id: int | None = None,
    source: str = "f1",
    offset: int | None = None,
    received: float = 0,
) -> RawClick:
    """A click so many seconds after the midnight of ``DAY``; ids and offsets rise by themselves."""
    number = next(_numbers)
    return RawClick(
        (number if event_id is None else event_id).to_bytes(16, "big"),
        session,
        MIDNIGHT + timedelta(seconds=seconds),
        item,
        category,
        source,
        0,
        number if offset is None else offset,
        RECEIVED + timedelta(seconds=received),
    )


def purchase(
    session: str = "s",
    seconds: float = 0,
    item: str = "i",
    price: str | None = "1.50",
    quantity: int | None = 2,
    event_id: int | None = None,
) -> RawPurchase:
    """A purchase line so many seconds after the midnight of ``DAY``."""
    number = next(_numbers)
    return RawPurchase(
        (number if event_id is None else event_id).to_bytes(16, "big"),
        session,
        MIDNIGHT + timedelta(seconds=seconds),
        item,
        None if price is None else Decimal(price),
        quantity,
        "f1",
        0,
        number,
        RECEIVED,
    )
