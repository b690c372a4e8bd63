"""Measures of whole windows, as columns, and the event at which they crossed their thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from clickstream_guardian.detector.runs import Ints, Runs
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


def crossings(
    measures: Mapping[str, Measure],
    when: Mapping[str, Threshold],
    events: pl.DataFrame,
    windows: Runs,
) -> Ints:
    """Per window the row of the first event with which the condition held on the events up to it.

    Args:
        measures: the measures.
        when: their thresholds.
        events: item_id and at; window after window, each in order.
        windows: which rows are a window's.

    Returns:
        Rows of ``events``; -1 for a window in which the condition never held.
    """
    known = _so_far(measures, events, windows)
    met = np.ones(len(events), dtype=np.bool_)
    for name in when.keys() & known.keys():
        met &= np.asarray(OPERATORS[when[name].operator](known[name], when[name].value))  # type: ignore[arg-type]
    rows = np.flatnonzero(met)
    if not when.keys() <= known.keys():
        rows = _where_gaps_hold(measures, when, events["at"].to_numpy(), windows, rows)
    numbers, first = np.unique(windows.number[rows], return_index=True)
    crossed = np.full(len(windows.starts), -1, dtype=np.int64)
    crossed[numbers] = rows[first]
    return crossed


def _so_far(
    measures: Mapping[str, Measure], events: pl.DataFrame, windows: Runs
) -> dict[str, npt.NDArray[Any]]:
    """Measures on the window's events up to each row; those of gaps are left out."""
    known: dict[str, npt.NDArray[Any]] = {}
    for name, measure in measures.items():
        if isinstance(measure, Count):
            known[name] = windows.rank
        elif isinstance(measure, Ratio):
            if measure.numerator in known:
                known[name] = known[measure.numerator] / known[measure.denominator]
        elif not isinstance(measure, Gap):
            counted = np.cumsum(_marks(measure, events, windows))
            known[name] = counted - windows.spread(np.append(0, counted)[windows.starts])
    return known


def _marks(measure: Measure, events: pl.DataFrame, windows: Runs) -> npt.NDArray[np.bool_]:
    """The rows that a measure counts."""
    item = events["item_id"]
    if isinstance(measure, Distinct):
        firsts = pl.struct(pl.Series("window", windows.number), item).is_first_distinct()
        return pl.select(firsts).to_series().to_numpy()
    assert isinstance(measure, Steps)
    before = item.shift()
    step = item > before if measure.kind == "up" else item != before
    marks = step.fill_null(value=False).to_numpy().copy()
    marks[windows.starts] = False
    return marks


def _where_gaps_hold(
    measures: Mapping[str, Measure],
    when: Mapping[str, Threshold],
    at: Ints,
    windows: Runs,
    rows: Ints,
) -> Ints:
    """Of the given rows the first of each window up to which the gaps hold too."""
    slow = [name for name, measure in measures.items() if _on_gaps(measure, measures)]
    bounds = np.searchsorted(rows, windows.starts)
    found = []
    for start, those in zip(windows.starts, np.split(rows, bounds[1:]), strict=True):
        for row in those:
            if _gaps_hold(measures, when, slow, at[start : row + 1]):
                found.append(row)
                break
    return np.array(found, dtype=np.int64)


def _on_gaps(measure: Measure, measures: Mapping[str, Measure]) -> bool:
    if isinstance(measure, Ratio):
        return isinstance(measures[measure.numerator], Gap)
    return isinstance(measure, Gap)


def _gaps_hold(
    measures: Mapping[str, Measure],
    when: Mapping[str, Threshold],
    slow: Sequence[str],
    times: Ints,
) -> bool:
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
