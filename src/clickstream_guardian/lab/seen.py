"""What is seen in files of clicks and purchases: the shop's items, its ids, its days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.attacks.ground import SeenGround
from clickstream_guardian.lab.columns import Clicks
from clickstream_guardian.sources.spool import Spool

_GREATEST_ID = 10**15
_MOST_CENTS = 2**31 - 1


@dataclass(frozen=True)
class SeenShop:
    """The items of all days, and a number above every session id.

    Attributes:
        items: item_id, category (the one most clicks on it carry; may be missing) and price (the
            middle one of its purchases; may be missing), in the order of the shelves.
        first_id: that number; None where session ids are not all numbers.
    """

    items: pl.DataFrame
    first_id: int | None

    def ground(self, clicks: pl.DataFrame) -> SeenGround:
        """The items as attacks find them on a day with these clicks."""
        counts = clicks.group_by("item_id").agg(clicks=pl.len())
        joined = self.items.join(counts, on="item_id", how="left", maintain_order="left")
        cents = (joined["price"].cast(pl.Float64) * 100).fill_null(0).round().clip(0, _MOST_CENTS)
        popularity = joined["clicks"].fill_null(0).cast(pl.Float64).cum_sum()
        return SeenGround(popularity.to_numpy(), cents.cast(pl.Int32).to_numpy())

    def columns(self, clicks: pl.DataFrame) -> Clicks:
        """A day's clicks, session by session in the order of time."""
        rows = clicks.sort("session_id", "occurred_at", maintain_order=True)
        places = self.items.select("item_id", place=pl.int_range(pl.len(), dtype=pl.Int32))
        item = rows.join(places, on="item_id", how="left", maintain_order="left")["place"]
        session = rows["session_id"].rle_id().cast(pl.Int64)
        ordinal = rows.select(pl.int_range(pl.len(), dtype=pl.Int32).over(session)).to_series()
        return Clicks(
            session_id=session.to_numpy(),
            at_ms=rows["occurred_at"].dt.epoch("ms").to_numpy(),
            ordinal=ordinal.to_numpy(),
            item=item.to_numpy(),
            category=np.zeros(len(rows), dtype=np.uint8),
        )


def see_shop(clicks: Spool, purchases: Spool | None) -> SeenShop:
    """Look at every day once.

    Raises:
        UsageError: there is not one click.
    """
    looks, prices, greatest = [], [pl.DataFrame(schema=_PRICES)], 0
    for part in _parts(clicks):
        greatest = _greatest(greatest, part)
        category = pl.col("category") if "category" in part.columns else pl.lit(None, pl.String)
        looks.append(part.group_by("item_id", category.alias("category")).agg(clicks=pl.len()))
    if not looks:
        raise UsageError("The file holds no click; attacks need clean sessions to hide among.")
    for part in _parts(purchases):
        greatest = _greatest(greatest, part)
        if "price" in part.columns:
            prices.append(part.select(*_PRICES))
    items = _usual_category(pl.concat(looks))
    paid = pl.concat(prices).group_by("item_id").agg(pl.col("price").cast(pl.Float64).median())
    return SeenShop(
        items.join(paid, on="item_id", how="left", maintain_order="left"),
        greatest + 1 if greatest < _GREATEST_ID else None,
    )


def _parts(spool: Spool | None) -> Iterator[pl.DataFrame]:
    if spool is not None:
        yield from map(spool.day, spool.days)


_PRICES = {"item_id": pl.String(), "price": pl.Decimal(12, 2)}


def _greatest(so_far: int, events: pl.DataFrame) -> int:
    """The greatest session id as a number; beyond all bounds if one is no number."""
    ids = events["session_id"]
    number = ids.cast(pl.Int64, strict=False)
    if not ids.str.contains(r"^\d+$").all() or number.is_null().any():
        return _GREATEST_ID
    return max(so_far, int(number.to_numpy().max(initial=0)))


def _usual_category(looks: pl.DataFrame) -> pl.DataFrame:
    """One row for each item, in the order of the shelves."""
    seen = looks.group_by("item_id", "category").agg(pl.col("clicks").sum())
    best = pl.col("category").sort_by(["clicks", "category"], descending=[True, False]).first()
    return (
        seen.group_by("item_id")
        .agg(best)
        .sort("category", pl.col("item_id").str.len_bytes(), "item_id")
    )
