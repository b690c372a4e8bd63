"""Evidence for windows in which a rule holds: the event with which each crossed, and a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from clickstream_guardian.detector.model import SAMPLE_SCHEMA, Sample
from clickstream_guardian.detector.runs import Ints, Runs
from clickstream_guardian.rules.model import OPERATORS, Count, Distinct, Rule

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


def find_evidence(rule: Rule, in_windows: pl.LazyFrame, limit: int, sample_size: int) -> Evidence:
    """The crossing and the sample of each window, looked for among its first ``limit`` events.

    Windows whose crossing lies further on are left out.

    Args:
        rule: what they have to meet.
        in_windows: session_id, start, at, item_id, event_id; at least the first ``limit`` of each.
        limit: see above.
        sample_size: most events of a sample.
    """
    events = in_windows.sort(*WINDOW, "at", "event_id").collect()
    windows = Runs.of(events, *WINDOW)
    is_first = windows.rank <= limit
    if not is_first.all():
        events, windows = events.filter(is_first), windows.first(limit)
    crossed = _crossings(rule, events, windows)
    has_crossed = crossed >= 0
    sizes = np.minimum(windows.lengths, sample_size)[has_crossed]
    sampled = np.flatnonzero((windows.rank <= sample_size) & windows.spread(has_crossed))
    crossing = events[crossed[has_crossed]].select(*WINDOW, crossed_at="at", crossed_id="event_id")
    return Evidence(
        crossing.with_columns(
            begin=pl.Series(np.cumsum(sizes) - sizes), size=pl.Series(sizes, dtype=pl.Int64)
        ),
        events.select(SAMPLE_SCHEMA.keys())[sampled],
    )


def _crossings(rule: Rule, events: pl.DataFrame, windows: Runs) -> Ints:
    """Per window the row of the first event with which the condition holds, -1 where none does."""
    measured = _prefix_measures(rule, events, windows)
    holds = np.ones(len(events), dtype=np.bool_)
    for name, threshold in rule.when.items():
        holds &= OPERATORS[threshold.operator](measured[name], threshold.value)  # type: ignore[arg-type]
    rows = np.flatnonzero(holds)
    numbers, first = np.unique(
        windows.spread(np.arange(len(windows.starts)))[rows], return_index=True
    )
    crossed = np.full(len(windows.starts), -1, dtype=np.int64)
    crossed[numbers] = rows[first]
    return crossed


def _prefix_measures(
    rule: Rule, events: pl.DataFrame, windows: Runs
) -> dict[str, npt.NDArray[Any]]:
    """Every measure on the window's events up to and including each row."""
    measured: dict[str, npt.NDArray[Any]] = {}
    for name, measure in rule.measures.items():
        if isinstance(measure, Count):
            measured[name] = windows.rank
        elif isinstance(measure, Distinct):
            value = pl.struct(*WINDOW, measure.field).is_first_distinct()
            seen = np.cumsum(events.select(value).to_series().to_numpy())
            measured[name] = seen - windows.spread(seen[windows.starts] - 1)
        else:
            measured[name] = measured[measure.numerator] / measured[measure.denominator]  # type: ignore[union-attr]
    return measured
