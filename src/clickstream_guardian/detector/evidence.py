"""Evidence for windows in which a rule holds: the event with which each crossed, and a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from clickstream_guardian.detector.measures import crossings
from clickstream_guardian.detector.model import SAMPLE_SCHEMA, Sample
from clickstream_guardian.detector.runs import Ints, Runs
from clickstream_guardian.rules.model import Rule

WINDOW = ["session_id", "start"]


@dataclass(frozen=True)
class Evidence:
    """What was found of some windows.

    Attributes:
        crossing: a row per window that crossed: session_id, start, crossed_at, crossed_id, and
            ``begin`` and ``size`` of its sample.
        samples: the samples, one after another.
    """

    crossing: pl.DataFrame
    samples: pl.DataFrame

    def of(self, windows: pl.DataFrame) -> Iterator[tuple[dict[str, Any], Sample]]:
        """Each of these windows that crossed: its row with the crossing, and its sample."""
        found = windows.join(self.crossing, on=WINDOW).sort(WINDOW)
        for row in found.iter_rows(named=True):
            yield row, Sample(self.samples.slice(row["begin"], row["size"]))


def find_evidence(
    rule: Rule, windows: pl.DataFrame, rows: pl.DataFrame, limit: int, sample_size: int
) -> Evidence:
    """The crossing and the sample of each window, looked for among its first ``limit`` events.

    Windows whose crossing lies further on are left out.

    Args:
        rule: what they have to meet.
        windows: session_id, start.
        rows: distinct events of these sessions; at least the first ``limit`` of each window.
        limit: see above.
        sample_size: most events of a sample.
    """
    ordered = rows.sort("session_id", "at", "event_id")
    windows, begin, end = _spans(windows, ordered, rule.window.size_us)
    lengths = np.minimum(end - begin, limit)
    runs = Runs(np.cumsum(lengths) - lengths, lengths)
    events = ordered.select(SAMPLE_SCHEMA.keys())[runs.spread(begin) + runs.rank - 1]
    crossed = crossings(rule.measures, rule.when, events, runs)
    has_crossed = crossed >= 0
    sizes = np.minimum(runs.lengths, sample_size)[has_crossed]
    sampled = np.flatnonzero((runs.rank <= sample_size) & runs.spread(has_crossed))
    found = events[crossed[has_crossed]]
    crossing = windows.filter(pl.Series(has_crossed)).select(
        *WINDOW,
        crossed_at=found["at"],
        crossed_id=found["event_id"],
        begin=pl.Series(np.cumsum(sizes) - sizes),
        size=pl.Series(sizes, dtype=pl.Int64),
    )
    return Evidence(crossing, events[sampled])


def _spans(
    windows: pl.DataFrame, ordered: pl.DataFrame, size_us: int
) -> tuple[pl.DataFrame, Ints, Ints]:
    """The windows whose session has rows, and of each the first of its rows and the one behind.

    A session's number and the time since the first row are packed into 64 bits, whose order is that
    of the rows.
    """
    sessions = Runs.of(ordered, "session_id")
    named = ordered.select("session_id")[sessions.starts].with_row_index("number")
    known = windows.join(named, on="session_id", maintain_order="left")
    at = ordered["at"].to_numpy()
    first_us = at.min() if len(at) else 0
    span = int(at.max() - first_us) + 1 if len(at) else 1
    bits = span.bit_length()
    keys = (sessions.number << bits) + (at - first_us)
    session = known["number"].to_numpy().astype(np.int64) << bits
    since = known["start"].to_numpy() - first_us
    begin, end = (
        np.searchsorted(keys, session + np.clip(moment, 0, span))
        for moment in (since, since + size_us)
    )
    return known, begin, end
