"""The events of busy sessions, folded pane by pane: distinct, in order, counted once.

A fold costs as much as it holds. So a session that is big in a pane is kept apart from the others
there, and folded again only when it has grown by a multiple, and once more when the pane closes:
over its life a pane costs a small number of times its events, however hot a session is, and a
session that has just turned busy does not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from clickstream_guardian.detector.runs import Runs, differs
from clickstream_guardian.detector.state import PaneFold, Place

ROW_SCHEMA: dict[str, pl.DataType] = {
    "session_id": pl.String(),
    "at": pl.Int64(),
    "item_id": pl.String(),
    "event_id": pl.UInt128(),
    "pane": pl.Int64(),
}
_BIG = 4_096
"""Events of a session in a pane from which it is kept apart."""
_BIG_GROWTH = 3
_CHEAP = 100_000
_SMALL_GROWTH = 4
_EMPTY = pl.DataFrame(schema=ROW_SCHEMA)
_GROUP = ["session_id", "pane"]
Folds = Mapping[Place, PaneFold]
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


def is_due(place: Place, fold: PaneFold, pane_us: int, closed_us: int) -> bool:
    """Whether what is pending at a place is to be folded now."""
    pending = fold.pending_count
    if not pending or place.pane + pane_us <= closed_us:
        return pending > 0
    if place.session_id is not None:
        return pending >= _BIG_GROWTH * len(fold.rows)
    return len(fold.rows) <= _CHEAP or _SMALL_GROWTH * pending >= len(fold.rows)


def fold_rows(rows: pl.DataFrame, head_size: int) -> PaneFold:
    """Fold rows of any number of panes: each event once, in (session, at, event_id) order.

    Where two rows share an id but not the item, the lesser item stands, so that the result does
    not depend on which came first.
    """
    ordered = rows.sort("session_id", "at", "event_id", "item_id")
    distinct = ordered.filter(differs("session_id", "at", "event_id"))
    runs = Runs.of(distinct, *_GROUP)
    counts = distinct.select(*_GROUP)[runs.starts]
    counts.insert_column(2, pl.Series("n", runs.lengths))
    items = distinct.select(*_GROUP, "item_id").unique()
    all_are_heads = not len(runs.lengths) or runs.lengths.max() <= head_size
    heads = distinct if all_are_heads else distinct.filter(runs.rank <= head_size)
    return PaneFold(distinct, heads, counts, items)


def complete(
    folds: Folds, rows: pl.DataFrame, pane_us: int, closed_us: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of panes that close with the call in which they came, and the others.

    A call that spans hours has very many such panes; they need no place of their own.
    """
    held = {place.pane for place in folds}
    whole = (pl.col("pane") + pane_us <= closed_us) & ~pl.col("pane").is_in(held)
    return rows.filter(whole), rows.filter(~whole)


def add_pending(folds: Folds, rows: pl.DataFrame) -> dict[Place, PaneFold]:
    """Append rows to the places they belong to, without folding them."""
    grown = dict(folds)
    big = {place.pane for place in folds if place.session_id is not None}
    for pane, part in _parts(rows).items():
        rest = part
        if pane in big:
            for place in [p for p in folds if p.pane == pane and p.session_id is not None]:
                mine = pl.col("session_id") == place.session_id
                _append(grown, place, rest.filter(mine))
                rest = rest.filter(~mine)
        _append(grown, Place(pane, None), rest)
    return grown


def _append(folds: dict[Place, PaneFold], place: Place, rows: pl.DataFrame) -> None:
    if len(rows):
        before = folds.get(place, NO_FOLD)
        folds[place] = replace(before, pending=(*before.pending, rows))


def refold(rows: Iterable[pl.DataFrame], head_size: int) -> PaneFold:
    """Fold several panes' rows in one pass."""
    frames = [frame for frame in rows if len(frame)]
    return fold_rows(pl.concat(frames), head_size) if frames else NO_FOLD


def split_fold(fold: PaneFold, living_from_us: int) -> dict[Place, PaneFold]:
    """One fold per pane from a time on, and one per session that is big in it."""
    split: dict[Place, PaneFold] = {}
    panes = fold.counts["pane"].to_numpy()
    if not len(panes):
        return split
    living = fold
    if panes.min() < living_from_us:
        living = _part(fold, pl.col("pane") >= living_from_us)
    is_big = living.counts["n"].to_numpy() > _BIG
    big = living.counts.filter(pl.Series(is_big)) if is_big.any() else living.counts.clear()
    for pane, whole in _by_pane(living).items():
        apart = big.filter(pl.col("pane") == pane)["session_id"].to_list() if len(big) else []
        for session_id in apart:
            split[Place(pane, session_id)] = _part(whole, pl.col("session_id") == session_id)
        rest = _part(whole, ~pl.col("session_id").is_in(apart)) if apart else whole
        if len(rest.rows):
            split[Place(pane, None)] = rest
    return split


def _by_pane(fold: PaneFold) -> dict[int, PaneFold]:
    panes = fold.counts["pane"].to_numpy()
    if not len(panes) or (panes == panes[0]).all():
        return {int(pane): fold for pane in panes[:1]}
    rows, heads, counts, items = map(_parts, (fold.rows, fold.heads, fold.counts, fold.items))
    return {pane: PaneFold(rows[pane], heads[pane], counts[pane], items[pane]) for pane in rows}


def _parts(frame: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """A frame's rows by pane."""
    parts = frame.partition_by("pane")
    # as_dict=True would select the key of every part anew, which costs more than the cut
    return {int(part["pane"][0]): part for part in parts}


def _part(fold: PaneFold, mine: pl.Expr) -> PaneFold:
    return PaneFold(
        fold.rows.filter(mine),
        fold.heads.filter(mine),
        fold.counts.filter(mine),
        fold.items.filter(mine),
    )
