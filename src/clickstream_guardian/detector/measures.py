"""Measures of whole windows, as columns, and the event at which they crossed their thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from clickstream_guardian.rules.model import (
    OPERATORS,
    Count,
    Distinct,
    Gap,
    Measure,
    Ratio,
    Steps,
    Threshold,
)


def measured(
    measures: Mapping[str, Measure], events: pl.DataFrame, group: Sequence[str]
) -> pl.DataFrame:
    """One row per window with a column per measure.

    Args:
        measures: what to measure.
        events: distinct events with the columns of ``group`` and item_id and at, in the order of
            ``group``, at and event_id.
        group: what makes a window.
    """
    plain = {n: m for n, m in measures.items() if not isinstance(m, Ratio)}
    table = events.group_by(group, maintain_order=True).agg(
        *(_column(measure).alias(name) for name, measure in plain.items())
    )
    for name, measure in measures.items():
        if isinstance(measure, Gap):
            table = table.with_columns(_seconds(table[name]))
        if isinstance(measure, Ratio):
            table = table.with_columns(
                (pl.col(measure.numerator).cast(pl.Float64) / pl.col(measure.denominator)).alias(
                    name
                )
            )
    return table.select(*group, *measures)


def _column(measure: Measure) -> pl.Expr:
    item = pl.col("item_id")
    if isinstance(measure, Count):
        return pl.len().cast(pl.Int64)
    if isinstance(measure, Distinct):
        return pl.col(measure.field).n_unique().cast(pl.Int64)
    if isinstance(measure, Steps):
        before = item.shift()
        step = item > before if measure.kind == "up" else item != before
        return step.sum().cast(pl.Int64)
    assert isinstance(measure, Gap)
    gaps = pl.col("at").diff().drop_nulls().sort()
    place = (gaps.len() * measure.quantile).ceil().cast(pl.Int64).clip(1) - 1
    return gaps.get(place, null_on_oob=True).clip(1)


def _seconds(micros: pl.Series) -> pl.Series:
    """Correctly rounded; Polars would multiply by 1e-6, which is another number than 1/1000000."""
    seconds = pl.Series(micros.name, micros.fill_null(0).to_numpy() / 1e6)
    return seconds.set(micros.is_null(), None)


def condition(when: Mapping[str, Threshold]) -> pl.Expr:
    """Whether every threshold is met; a missing measure meets none."""
    return pl.all_horizontal(
        *(OPERATORS[t.operator](pl.col(name), t.value) for name, t in when.items())  # type: ignore[arg-type]
    )


def crossing(
    measures: Mapping[str, Measure],
    when: Mapping[str, Threshold],
    at: npt.ArrayLike,
    items: Sequence[str],
) -> int:
    """Index of the first event with which the condition held on the events up to it.

    Args:
        measures: the measures.
        when: their thresholds; they hold on all the events.
        at: event times of the window in order.
        items: their items.
    """
    times = np.asarray(at, dtype=np.int64)
    known: dict[str, np.ndarray] = {}
    for name, measure in measures.items():
        if not isinstance(measure, Gap):
            known[name] = _so_far(measure, known, items)
    slow = [name for name, measure in measures.items() if _on_gaps(measure, measures)]
    fast = [name for name in when if name not in slow]
    met = np.ones(len(items), dtype=bool)
    for name in fast:
        met &= np.asarray(OPERATORS[when[name].operator](known[name], when[name].value))  # type: ignore[arg-type]
    for index in np.flatnonzero(met):
        if _gaps_hold(measures, when, slow, times[: index + 1]):
            return int(index)
    return len(items) - 1


def _on_gaps(measure: Measure, measures: Mapping[str, Measure]) -> bool:
    if isinstance(measure, Ratio):
        return isinstance(measures[measure.numerator], Gap)
    return isinstance(measure, Gap)


def _so_far(measure: Measure, known: Mapping[str, np.ndarray], items: Sequence[str]) -> np.ndarray:
    """A measure on every beginning of the window."""
    if isinstance(measure, Count):
        return np.arange(1, len(items) + 1)
    if isinstance(measure, Ratio):
        if measure.numerator not in known:
            return np.zeros(len(items))
        return np.asarray(known[measure.numerator] / known[measure.denominator])
    seen: set[str] = set()
    marks = np.zeros(len(items), dtype=np.int64)
    for place, item in enumerate(items):
        if isinstance(measure, Distinct):
            marks[place] = item not in seen
            seen.add(item)
        elif place:
            before = items[place - 1]
            up = isinstance(measure, Steps) and measure.kind == "up"
            marks[place] = item > before if up else item != before
    return np.cumsum(marks)


def _gaps_hold(
    measures: Mapping[str, Measure],
    when: Mapping[str, Threshold],
    slow: Sequence[str],
    times: np.ndarray,
) -> bool:
    if not slow:
        return True
    gaps = np.sort(np.diff(times))
    if not len(gaps):
        return False
    values: dict[str, float] = {}
    for name in slow:
        measure = measures[name]
        if isinstance(measure, Ratio):
            values[name] = values[measure.numerator] / values[measure.denominator]
        elif isinstance(measure, Gap):
            place = max(1, int(np.ceil(len(gaps) * measure.quantile))) - 1
            values[name] = max(1, int(gaps[place])) / 1e6
    return all(when[name].holds(values[name]) for name in slow if name in when)
