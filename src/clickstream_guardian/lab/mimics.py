"""How many mimics rules would find if they were let err more: recall along the false positives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from clickstream_guardian.events.fields import EVENT_KINDS, EventKind
from clickstream_guardian.lab.backtest import judge
from clickstream_guardian.rules.model import Rule, Threshold

LOOSENESS = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3)
"""Factors by which every threshold of a rule is eased; 1 is the rule as it is."""

RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01)
"""Shares of clean sessions that may be flagged."""


def loosened(rule: Rule, factor: float) -> Rule:
    """The rule with all its thresholds eased: least values times the factor, greatest by it.

    Its name tells the factor (``RULE 0.5``), so that variants can be judged side by side.
    """
    members = rule.members
    if members is not None:
        members = replace(members, when=_eased(members.when, factor))
    when = _eased(rule.when, factor)
    return replace(rule, name=f"{rule.name} {factor:g}", when=when, members=members)


def _eased(when: Mapping[str, Threshold], factor: float) -> dict[str, Threshold]:
    return {name: _ease(one, factor) for name, one in when.items()}


def _ease(threshold: Threshold, factor: float) -> Threshold:
    least = threshold.operator.startswith(">")
    value = threshold.value * factor if least else threshold.value / factor
    return replace(threshold, value=value, text=f"{threshold.operator} {value:g}")


def mimic_curve(
    rules: Sequence[Rule],
    days: Callable[[EventKind], Iterable[pl.DataFrame]],
    labels: pl.DataFrame,
) -> list[dict[str, Any]]:
    """For each family and rate of false positives the rule that finds most of its mimics.

    Args:
        rules: the catalogue.
        days: events by kind, as a back-test takes them.
        labels: session_id, family, strength.

    Returns:
        family, sessions (its mimics), rate, and of the best variant within the rate: rule,
        looseness, recall, false_positive_rate. Rule is None where none finds any.
    """
    flagged, clean = [], 0
    for kind in EVENT_KINDS:
        mine = [loosened(one, f) for one in rules if one.events == kind.name for f in LOOSENESS]
        judged = judge(mine, days(kind))
        flagged.append(judged.flagged)
        if kind is EVENT_KINDS[0]:
            clean = len(judged.sessions.join(labels, on="session_id", how="anti"))
    return best_within(pl.concat(flagged), labels, clean)


def best_within(flagged: pl.DataFrame, labels: pl.DataFrame, clean: int) -> list[dict[str, Any]]:
    """The rows of a curve, from what variants flagged (``rule``, ``session_id``)."""
    marked = flagged.unique(["rule", "session_id"]).join(labels, on="session_id", how="left")
    wrong = marked.filter(pl.col("strength").is_null()).group_by("rule").agg(wrong=pl.len())
    mimics = labels.filter(strength="mimic")
    found = marked.filter(strength="mimic").group_by("rule", "family").agg(found=pl.len())
    ranked = found.join(wrong, on="rule", how="left").with_columns(
        rate=pl.col("wrong").fill_null(0) / max(1, clean)
    )
    rows = []
    for family, sessions in sorted(mimics.group_by("family").len().iter_rows()):
        for rate in RATES:
            fitting = ranked.filter(family=family).filter(pl.col("rate") <= rate)
            best = fitting.sort(["found", "rate", "rule"], descending=[True, False, False])
            rows.append({"family": family, "sessions": sessions, "rate": rate, **_of(best)})
            rows[-1]["recall"] = round(rows[-1].pop("found") / sessions, 4)
    return rows


def _of(best: pl.DataFrame) -> dict[str, Any]:
    if not len(best):
        return {"rule": None, "looseness": None, "found": 0, "false_positive_rate": None}
    name, looseness = best["rule"][0].rsplit(" ", 1)
    return {
        "rule": name,
        "looseness": float(looseness),
        "found": best["found"][0],
        "false_positive_rate": round(best["rate"][0], 6),
    }
