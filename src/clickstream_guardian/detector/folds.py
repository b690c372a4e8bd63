"""The events of busy sessions, folded pane by pane: distinct, in order, counted once.

A fold costs as much as the pane holds, so a pane that grows fast is folded only when enough has
come (each fold then costs no more than what has come since the last), and once more when it closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from clickstream_guardian.detector.state import PaneFold

ROW_SCHEMA: dict[str, pl.DataType] = {
    "session_id": pl.String(),
    "at": pl.Int64(),
    "item_id": pl.String(),
    "event_id": pl.UInt128(),
    "pane": pl.Int64(),
}
_SMALL = 4_096
_GROWTH = 3
_EMPTY = pl.DataFrame(schema=ROW_SCHEMA)
_GROUP = ["session_id", "pane"]
NO_FOLD = PaneFold(
    _EMPTY,
    _EMPTY,
    pl.DataFrame(schema={"session_id": pl.String, "pane": pl.Int64, "n": pl.Int64}),
    _EMPTY.select("session_id", "pane", "item_id"),
)


def with_panes(events: pl.DataFrame, pane_us: int) -> pl.DataFrame:
    """Busy events with the start of their pane."""
    return events.select(
        "session_id", "at", "item_id", "event_id", pane=pl.col("at") // pane_us * pane_us
    )


def is_due(fold: PaneFold, pane_end_us: int, closed_us: int) -> bool:
    """Whether a pane's pending rows are to be folded now."""
    pending = fold.pending_count
    if not pending:
        return False
    return pane_end_us <= closed_us or pending <= _SMALL or pending >= _GROWTH * len(fold.rows)


def fold_rows(rows: pl.DataFrame, head_size: int) -> PaneFold:
    """Fold rows of any number of panes: each event once, in (session, at, event_id) order.

    Where two rows share an id but not the item, the lesser item stands, so that the result does
    not depend on which came first.
    """
    ordered = rows.sort("session_id", "at", "event_id", "item_id")
    distinct = ordered.filter(_differs("session_id", "at", "event_id"))
    starts = distinct.select(_differs(*_GROUP)).to_series().arg_true().to_numpy()
    lengths = np.diff(np.append(starts, len(distinct)))
    rank = np.arange(len(distinct)) - np.repeat(starts, lengths)
    counts = distinct[starts].select(*_GROUP).with_columns(n=pl.Series(lengths, dtype=pl.Int64))
    items = distinct.select(*_GROUP, "item_id").unique()
    return PaneFold(distinct, distinct.filter(rank < head_size), counts, items)


def _differs(*columns: str) -> pl.Expr:
    """Whether a row differs from the one before it."""
    changed = pl.any_horizontal(*(pl.col(name) != pl.col(name).shift() for name in columns))
    return changed.fill_null(value=True)


def add_pending(panes: Mapping[int, PaneFold], rows: pl.DataFrame) -> dict[int, PaneFold]:
    """Append rows to the panes they belong to, without folding them."""
    grown = dict(panes)
    for (pane,), part in rows.partition_by("pane", as_dict=True).items():
        before = grown.get(int(pane), NO_FOLD)
        grown[int(pane)] = replace(before, pending=(*before.pending, part))
    return grown


def refold(rows: Iterable[pl.DataFrame], head_size: int) -> PaneFold:
    """Fold several panes' rows in one pass."""
    frames = [frame for frame in rows if len(frame)]
    return fold_rows(pl.concat(frames), head_size) if frames else NO_FOLD


def split_fold(fold: PaneFold, panes: Iterable[int]) -> dict[int, PaneFold]:
    """One fold per pane, for those asked."""
    split = {}
    for pane in panes:
        mine = pl.col("pane") == pane
        split[pane] = PaneFold(
            fold.rows.filter(mine),
            fold.heads.filter(mine),
            fold.counts.filter(mine),
            fold.items.filter(mine),
        )
    return split
