"""Scores of a back-test against labels: what was caught, what was wronged, and how soon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.backtest import Judged

_COLUMNS = ("session_id", "family", "strength")
CONTROL = "control"
IMPOSSIBLE = ((10, 10), (25, 60))
"""Clicks within seconds that no clean session of the samples measured has made."""

_DELAYS = ("delay_seconds", "delay_events", "after_impossible_seconds")


def read_labels(path: Path) -> pl.DataFrame:
    """The labels of a generated data set: session_id, family, strength.

    Raises:
        UsageError: the file cannot be read or lacks a column.
    """
    try:
        labels = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"{path}: no labels can be read from it ({error}).") from error
    missing = [name for name in _COLUMNS if name not in labels.columns]
    if missing:
        raise UsageError(f"{path}: the labels lack the column {missing[0]}; generate them anew.")
    return labels.select(_COLUMNS)


@dataclass(frozen=True)
class Scores:
    """The outcome of a back-test, as tables (their columns are the fields of the JSON).

    Attributes:
        rules: per rule flagged, attacks, controls, clean, precision, false_positives_per_million,
            and the family it finds most of with its recall.
        families: per family and strength sessions, caught, recall, precision, f1, the median delay
            in events and seconds, and the seconds within which 95 of 100 were found after they
            did what no person does.
        overlap: pairs of rules and how many sessions both flagged.
        clean_sessions: sessions without a label.
        flagged_clean: clean sessions flagged by any rule.
    """

    rules: pl.DataFrame
    families: pl.DataFrame
    overlap: pl.DataFrame
    clean_sessions: int
    flagged_clean: int
    flagged_controls: int

    @property
    def false_positives_per_million(self) -> float:
        """Clean sessions flagged by any rule, per million clean sessions."""
        return _per_million(self.flagged_clean, self.clean_sessions)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "clean_sessions": self.clean_sessions,
            "flagged_clean": self.flagged_clean,
            "flagged_controls": self.flagged_controls,
            "false_positives_per_million": round(self.false_positives_per_million, 1),
            "rules": self.rules.to_dicts(),
            "families": self.families.to_dicts(),
            "overlap": self.overlap.to_dicts(),
        }


def score(flagged: pl.DataFrame, clicks: Judged, labels: pl.DataFrame, names: list[str]) -> Scores:
    """Hold what was flagged against the truth.

    Args:
        flagged: rule, session_id, detected_at (see ``Judged``).
        clicks: what was judged of the clicks: all sessions, and the moments of labelled ones.
        labels: session_id, family, strength; sessions without a label are clean.
        names: the rules, in the order of the report.
    """
    sessions = clicks.sessions
    known = labels.join(sessions, on="session_id", how="inner")
    marked = flagged.join(labels, on="session_id", how="left").with_columns(
        truth=pl.when(pl.col("strength").is_null())
        .then(pl.lit("clean"))
        .when(pl.col("strength") == CONTROL)
        .then(pl.lit(CONTROL))
        .otherwise(pl.lit("attack"))
    )
    clean_sessions = len(sessions) - len(known)
    wronged = marked.filter(pl.col("truth") != "attack").unique(["session_id", "truth"])
    return Scores(
        rules=_by_rule(marked, known, names, clean_sessions),
        families=_by_family(marked, known, clicks.moments),
        overlap=_overlap(flagged, names),
        clean_sessions=clean_sessions,
        flagged_clean=int((wronged["truth"] == "clean").sum()),
        flagged_controls=int((wronged["truth"] == CONTROL).sum()),
    )


def _by_rule(
    marked: pl.DataFrame, known: pl.DataFrame, names: list[str], clean_sessions: int
) -> pl.DataFrame:
    counts = marked.group_by("rule").agg(
        flagged=pl.len(),
        attacks=(pl.col("truth") == "attack").sum(),
        controls=(pl.col("truth") == CONTROL).sum(),
        clean=(pl.col("truth") == "clean").sum(),
    )
    rows = pl.DataFrame({"rule": names}).join(counts, on="rule", how="left", maintain_order="left")
    rows = rows.with_columns(pl.exclude("rule").fill_null(0)).with_columns(
        precision=_ratio("attacks", "flagged"),
        false_positives_per_million=(pl.col("clean") * 1e6 / max(1, clean_sessions)).round(1),
    )
    return rows.join(_main_family(marked, known), on="rule", how="left", maintain_order="left")


def _main_family(marked: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The family of which a rule finds the most, mimics aside, and how much that is."""
    plain = pl.col("strength").is_in(["naive", "jittered"])
    totals = known.filter(plain).group_by("family").agg(sessions=pl.len())
    return (
        marked.filter(plain)
        .group_by("rule", "family")
        .agg(found=pl.len())
        .join(totals, on="family")
        .with_columns(recall=_ratio("found", "sessions"))
        .sort("rule", "recall", "family", descending=[False, True, False])
        .group_by("rule", maintain_order=True)
        .first()
        .select("rule", "family", "recall")
    )


def _by_family(marked: pl.DataFrame, known: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """Precision counts the clean sessions flagged by rules that found a tenth of the family."""
    group = ["family", "strength"]
    attacks = known.filter(pl.col("strength") != CONTROL)
    totals = attacks.group_by(group).agg(sessions=pl.len())
    first = marked.group_by("session_id").agg(pl.col("detected_at").min())
    caught = attacks.join(first, on="session_id").with_columns(
        delay=(pl.col("detected_at") - pl.col("first_at")).dt.total_milliseconds() / 1000
    )
    before = moments.join(caught.select("session_id", "detected_at"), on="session_id").filter(
        pl.col("occurred_at") < pl.col("detected_at")
    )
    counts = before.group_by("session_id").agg(before=pl.len())
    lags = _after_impossible(moments, caught)
    hits = (
        caught.join(counts, on="session_id", how="left")
        .join(lags, on="session_id", how="left")
        .group_by(group)
        .agg(
            caught=pl.len(),
            delay_seconds=pl.col("delay").median().round(2),
            delay_events=pl.col("before").fill_null(0).median(),
            after_impossible_seconds=pl.col("lag").quantile(0.95).round(2),
        )
    )
    table = totals.join(hits, on=group, how="left").with_columns(pl.col("caught").fill_null(0))
    wronged = _wronged(marked, totals)
    return (
        table.join(wronged, on=group, how="left")
        .with_columns(pl.col("wronged").fill_null(0))
        .with_columns(found=pl.col("caught") + pl.col("wronged"))
        .with_columns(recall=_ratio("caught", "sessions"), precision=_ratio("caught", "found"))
        .with_columns(
            f1=(2 * pl.col("recall") * pl.col("precision"))
            / (pl.col("recall") + pl.col("precision"))
        )
        .with_columns(pl.col("f1").round(4))
        .select(*group, "sessions", "caught", "recall", "precision", "f1", *_DELAYS)
        .sort(group)
    )


def _after_impossible(moments: pl.DataFrame, caught: pl.DataFrame) -> pl.DataFrame:
    """Seconds from the click that no person makes (see ``IMPOSSIBLE``) to the finding, or 0."""
    ordered = moments.sort("session_id", "occurred_at")
    at = pl.col("occurred_at")
    beyond = [
        at - at.shift(clicks - 1).over("session_id") < timedelta(seconds=seconds)
        for clicks, seconds in IMPOSSIBLE
    ]
    first = (
        ordered.filter(pl.any_horizontal(*beyond).fill_null(value=False))
        .group_by("session_id")
        .agg(beyond_at=at.min())
    )
    late = (pl.col("detected_at") - pl.col("beyond_at")).dt.total_milliseconds() / 1000
    return caught.join(first, on="session_id").select("session_id", lag=late.clip(0))


def _wronged(marked: pl.DataFrame, totals: pl.DataFrame) -> pl.DataFrame:
    group = ["family", "strength"]
    by_rule = marked.group_by("rule", *group).agg(found=pl.len()).join(totals, on=group)
    concerned = by_rule.filter(pl.col("found") * 10 >= pl.col("sessions")).select("rule", *group)
    innocent = marked.filter(pl.col("truth") != "attack").select("rule", "session_id")
    return (
        concerned.join(innocent, on="rule")
        .group_by(group)
        .agg(wronged=pl.col("session_id").n_unique())
    )


def _overlap(flagged: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    pairs = flagged.select("rule", "session_id").join(
        flagged.select("session_id", other="rule"), on="session_id"
    )
    order = {name: place for place, name in enumerate(names)}
    return (
        pairs.filter(
            pl.col("rule").replace_strict(order, default=-1)
            < pl.col("other").replace_strict(order, default=-1)
        )
        .group_by("rule", "other")
        .agg(sessions=pl.len())
        .sort("sessions", "rule", "other", descending=[True, False, False])
    )


def _ratio(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole)).otherwise(None).round(4)


def _per_million(part: int, whole: int) -> float:
    return part * 1e6 / whole if whole else 0.0
