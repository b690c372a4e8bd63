"""Days drawn straight into columns, as the detector takes them: no files, no lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.lab.attacks.ground import ShopGround
from clickstream_guardian.lab.attacks.injection import Label, inject
from clickstream_guardian.lab.attacks.plan import AttackPlan
from clickstream_guardian.lab.columns import Clicks, Columns, Purchases
from clickstream_guardian.lab.days import parts, plan_days
from clickstream_guardian.lab.parameters import Parameters
from clickstream_guardian.lab.traffic import draw_day, draw_ids, open_shop


@dataclass(frozen=True)
class DrawnDay:
    """One day's sessions: clicks and purchases in event-time order, and the labels."""

    clicks: pl.DataFrame
    purchases: pl.DataFrame
    labels: tuple[Label, ...]


def drawn_days(
    parameters: Parameters,
    days: tuple[date, date],
    plan_of: Callable[[date], AttackPlan],
    seed: int,
    scale: float = 1.0,
) -> Iterator[DrawnDay]:
    """Days as ``guardian generate`` draws them, one at a time, each with its own plan of attacks.

    Sessions that run past midnight stay with the day they began on.
    """
    shop = open_shop(parameters)
    item_id = shop.catalogue.item_id
    for day in plan_days(parameters.arrivals, *days, seed=seed, scale=scale):
        clicks: list[Clicks] = []
        purchases: list[Purchases] = []
        labels: list[Label] = []
        for part in parts(day):
            ids = draw_ids(part)
            drawn, bought = draw_day(shop, part, ids.clean)
            injected = inject(ShopGround(shop, part), part, plan_of(day.day), ids.spare, drawn)
            clicks += [drawn, injected.clicks]
            purchases += [bought, injected.purchases]
            labels += injected.labels
        number = (day.start_ms // 86_400_000) << 40
        yield DrawnDay(
            _frame(Clicks.join(clicks), item_id, number),
            _frame(Purchases.join(purchases), item_id, number | 1 << 39),
            tuple(labels),
        )


def events_of(days: Sequence[DrawnDay]) -> Callable[[EventKind], Sequence[pl.DataFrame]]:
    """All events of a kind in event-time order, as ``try_rules`` takes them."""
    frames = {
        CLICK.name: [day.clicks for day in days],
        PURCHASE.name: [day.purchases for day in days],
    }
    whole = {
        kind: pl.concat(parts).sort("occurred_at", maintain_order=True)
        for kind, parts in frames.items()
    }
    return lambda kind: [whole[kind.name]]


def labels_of(days: Sequence[DrawnDay]) -> pl.DataFrame:
    """The labels as a table: session_id, family, strength."""
    labels = [label for day in days for label in day.labels]
    return pl.DataFrame(
        {
            "session_id": [str(label.session_id) for label in labels],
            "family": [label.family for label in labels],
            "strength": [str(label.strength) for label in labels],
        }
    )


def _frame(rows: Columns, item_id: np.ndarray, first_id: int) -> pl.DataFrame:
    """Events with the columns of an ``Arrival``; ids count on from ``first_id``."""
    item = rows.item  # type: ignore[attr-defined]
    return (
        pl.DataFrame(
            {
                "session_id": pl.Series(rows.session_id).cast(pl.String),
                "occurred_at": pl.Series(rows.at_ms * 1000).cast(pl.Datetime("us", "UTC")),
                "item_id": pl.Series(item_id[item]).cast(pl.String),
            }
        )
        .sort("occurred_at", maintain_order=True)
        .with_row_index("event_id", offset=0)
        .with_columns(pl.col("event_id").cast(pl.UInt128) + first_id)
        .select("session_id", "occurred_at", "item_id", "event_id")
    )
