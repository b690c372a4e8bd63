"""Events laid into the windows of a rule that is judged at close."""

from __future__ import annotations

import numpy as np
import polars as pl

from clickstream_guardian.detector.runs import differs
from clickstream_guardian.rules.model import Rule


def distinct_events(rows: pl.DataFrame) -> pl.DataFrame:
    """Each event once, in (session, at, event_id) order; of two items the lesser stands."""
    ordered = rows.select("session_id", "at", "event_id", "item_id").sort(
        "session_id", "at", "event_id", "item_id"
    )
    return ordered.filter(differs("session_id", "at", "event_id"))


def in_windows(rule: Rule, events: pl.DataFrame, due: np.ndarray) -> pl.DataFrame:
    """Each event once per due window it lies in, with the window's ``start``."""
    every = rule.window.every_us
    last = events.with_columns(start=pl.col("at") // every * every)
    parts = [last.with_columns(pl.col("start") - k * every) for k in range(rule.window.panes)]
    return pl.concat(parts).filter(pl.col("start").is_in(due.tolist()))
