"""A rule applied to folded panes: which windows hold, where they crossed, and the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from clickstream_guardian.detector.due import NEVER_TOUCHED
from clickstream_guardian.detector.evidence import WINDOW, find_evidence
from clickstream_guardian.detector.measures import condition
from clickstream_guardian.detector.model import Anomaly, Sample, Status
from clickstream_guardian.events.identity import anomaly_id, id_hex
from clickstream_guardian.rules.model import Distinct, Measure, Ratio, Rule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Folded:
    """Folded panes to judge (see ``PaneFold``); ``rows`` stay apart until needed."""

    rows: tuple[pl.DataFrame, ...]
    heads: pl.DataFrame
    counts: pl.DataFrame
    items: pl.DataFrame


@dataclass(frozen=True)
class Shape:
    """Evidence size, and how many events of a session and pane its heads hold at the most."""

    sample_size: int
    head_size: int


def window_ids(rule: Rule, windows: pl.DataFrame) -> Iterator[str]:
    """The anomaly ids that the given windows have or would have."""
    for session_id, start in windows.select(WINDOW).iter_rows():
        yield anomaly_id(rule.name, rule.version, session_id, start)


def holding_windows(rule: Rule, folded: Folded, judged: pl.DataFrame) -> pl.DataFrame:
    """The judged windows in which the rule holds, with a column per measure."""
    measured = judged
    for name, measure in rule.measures.items():
        if isinstance(measure, Distinct):
            values = _distinct(rule, measure, folded, judged).rename({"value": name})
            measured = measured.join(values, on=WINDOW)
        else:
            measured = measured.with_columns(_column(measure).alias(name))
    return measured.filter(condition(rule.when))


def _column(measure: Measure) -> pl.Expr:
    if isinstance(measure, Ratio):
        return pl.col(measure.numerator).cast(pl.Float64) / pl.col(measure.denominator)
    return pl.col("events")


def _in_windows(rule: Rule, frame: pl.LazyFrame) -> pl.LazyFrame:
    """Each row once per window of the rule that its pane lies in, with the window's ``start``."""
    every, panes = rule.window.every_us, rule.window.panes
    last = frame.with_columns(start=pl.col("pane") // every * every)
    if panes == 1:
        return last
    return pl.concat([last.with_columns(pl.col("start") - k * every) for k in range(panes)])


def _distinct(
    rule: Rule, measure: Distinct, folded: Folded, candidates: pl.DataFrame
) -> pl.DataFrame:
    assert measure.field == "item_id"
    sessions = candidates.select("session_id").unique()
    items = folded.items.join(sessions, on="session_id", how="semi")
    return (
        _in_windows(rule, items.lazy())
        .join(candidates.lazy().select(WINDOW), on=WINDOW, how="semi")
        .group_by(WINDOW)
        .agg(value=pl.col(measure.field).n_unique().cast(pl.Int64))
        .collect()
    )


def anomalies_of(
    rule: Rule,
    holding: pl.DataFrame,
    folded: Folded,
    closed_us: int,
    shape: Shape,
    reported: Mapping[str, Anomaly],
) -> Iterator[Anomaly]:
    """The anomalies of windows in which the rule holds, with crossing event and sample.

    Evidence is the beginning of a window. So it is looked for once, and again only where it was
    short or something new has come before its end.
    """
    sought = []
    for row in holding.iter_rows(named=True):
        known = reported.get(anomaly_id(rule.name, rule.version, row["session_id"], row["start"]))
        if known is None or not _stands(known, row["earliest"], shape.sample_size):
            sought.append((row["session_id"], row["start"]))
        else:
            yield replace(known, **_measured(rule, row, closed_us))
    if sought:
        wanted = pl.DataFrame(sought, holding.select(WINDOW).schema, orient="row")
        for row, sample in _with_evidence(rule, holding.join(wanted, on=WINDOW), folded, shape):
            yield _anomaly(rule, row, sample, closed_us)


def _stands(known: Anomaly, earliest: int, sample_size: int) -> bool:
    """Whether a known anomaly's evidence lies whole before what is new in its window.

    That of a withdrawn one was not kept up while it did not hold.
    """
    if known.status == Status.WITHDRAWN:
        return False
    if earliest == NEVER_TOUCHED:
        return True
    is_full = len(known.sample) == sample_size
    return is_full and earliest > max(micros(known.first_crossed_at), known.sample.last_us)


def _with_evidence(
    rule: Rule, holding: pl.DataFrame, folded: Folded, shape: Shape
) -> Iterator[tuple[dict[str, Any], Sample]]:
    """Each window's row, with its crossing event, and its sample.

    Heads hold the first events of every pane, so their first ones are a window's true beginning.
    """
    sessions = holding.select("session_id").unique()
    heads = folded.heads.join(sessions, on="session_id", how="semi")
    found = find_evidence(rule, holding, heads, shape.head_size, shape.sample_size)
    yield from found.of(holding)
    if len(found.crossing) < len(holding):
        missing = holding.join(found.crossing, on=WINDOW, how="anti")
        rows = pl.concat(folded.rows).join(sessions, on="session_id", how="semi")
        yield from find_evidence(rule, missing, rows, len(rows), shape.sample_size).of(missing)


def instant(micros: int) -> datetime:
    """Microseconds since the epoch as an aware instant."""
    return _EPOCH + timedelta(microseconds=micros)


def micros(at: datetime) -> int:
    """An aware instant as microseconds since the epoch."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def explanation(rule: Rule, measures: Mapping[str, int | float], key: str = "") -> str:
    """The rule's sentence with the measured values, and with ``{key}`` for what it is keyed by."""
    shown = {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in measures.items()}
    return rule.explain.format(**{"key": key, **shown})


def _measured(rule: Rule, row: Mapping[str, Any], closed_us: int) -> dict[str, Any]:
    """What may change of an anomaly while its window fills."""
    measures = {name: row[name] for name in rule.measures}
    is_closed = int(row["start"]) + rule.window.size_us <= closed_us
    return {
        "status": Status.FINAL if is_closed else Status.OPEN,
        "measures": measures,
        "event_count": int(row["events"]),
        "explanation": explanation(rule, measures),
    }


def _anomaly(rule: Rule, row: Mapping[str, Any], sample: Sample, closed_us: int) -> Anomaly:
    start = int(row["start"])
    return Anomaly(
        anomaly_id=anomaly_id(rule.name, rule.version, row["session_id"], start),
        rule=rule.name,
        rule_version=rule.version,
        severity=rule.severity.label,
        session_id=row["session_id"],
        window_start=instant(start),
        window_end=instant(start + rule.window.size_us),
        thresholds=rule.thresholds,
        first_crossed_at=instant(row["crossed_at"]),
        crossed_event_id=id_hex(row["crossed_id"]),
        sample=sample,
        **_measured(rule, row, closed_us),
    )
