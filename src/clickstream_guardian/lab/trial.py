"""A trial of rules: clicks and purchases judged, scored, and the numbers with and without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.lab.attacks.plan import load_plan
from clickstream_guardian.lab.backtest import Judged, judge
from clickstream_guardian.lab.drawn import drawn_days, events_of, labels_of
from clickstream_guardian.lab.parameters import default_parameters
from clickstream_guardian.lab.scoring import Scores, score
from clickstream_guardian.lab.whatif import Sweep
from clickstream_guardian.rules.model import Mode, Rule

_SMALL_SCALE, _SMALL_SESSIONS, _SMALL_LONERS, _SMALL_SEED = 0.2, 10_000, 8, 404
_NO_LABELS = pl.DataFrame(
    schema={"session_id": pl.String, "family": pl.String, "strength": pl.String}
)
Days = Callable[[EventKind], Iterable[pl.DataFrame]]
"""The days' events of a kind, late ones left out, in event-time order."""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        numbers: business numbers raw, without the sessions that enforcing rules flagged, and the
            difference.
        labelled: whether there were labels; without them every session counts as clean.
    """

    scores: Scores
    numbers: list[dict[str, Any]]
    labelled: bool
    events: int
    seconds: float

    @property
    def events_per_second(self) -> float:
        """Events judged per second of wall time."""
        return self.events / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "events": self.events,
            "seconds": round(self.seconds, 3),
            "events_per_second": round(self.events_per_second),
            "labelled": self.labelled,
            **self.scores.as_dict(),
            "numbers": self.numbers,
        }

    def curve(self, sweep: Sweep) -> list[dict[str, Any]]:
        """One point per value of a sweep; recall is of all attacks in the trial."""
        attacks = int(self.scores.families["sessions"].sum()) if self.labelled else 0
        return [
            {
                "value": value,
                "flagged": row["flagged"],
                "clean": row["clean"],
                "precision": row["precision"] if self.labelled else None,
                "recall": round(row["attacks"] / attacks, 4) if attacks else None,
                "precision_known": self.labelled,
            }
            for value, row in zip(
                sweep.values, self.scores.rules.iter_rows(named=True), strict=True
            )
        ]


def try_rules(rules: Sequence[Rule], days: Days, labels: pl.DataFrame | None) -> Outcome:
    """Judge days by rules, and hold the outcome against labels.

    Args:
        rules: rules of any kind of event.
        days: where the events come from.
        labels: session_id, family, strength; None if nothing is known.

    Raises:
        UsageError: two rules share a name.
    """
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise UsageError("Two of the rules share a name; rename one.")
    clicks = judge([r for r in rules if r.events == CLICK.name], days(CLICK), labels)
    buying = [r for r in rules if r.events == PURCHASE.name]
    purchases = judge(buying, days(PURCHASE))
    flagged = pl.concat([clicks.flagged, purchases.flagged])
    truth = _NO_LABELS if labels is None else labels
    enforced = flagged.filter(
        pl.col("rule").is_in([rule.name for rule in rules if rule.mode is Mode.ENFORCE])
    )
    scores = score(flagged, clicks, truth, names)
    if labels is None:
        unknown = scores.rules.with_columns(precision=pl.lit(None, pl.Float64))
        scores = replace(scores, rules=unknown)
    return Outcome(
        scores=scores,
        numbers=_numbers(clicks, purchases, enforced),
        labelled=labels is not None,
        events=clicks.events + (purchases.events if buying else 0),
        seconds=clicks.seconds + (purchases.seconds if buying else 0),
    )


def _numbers(clicks: Judged, purchases: Judged, flagged: pl.DataFrame) -> list[dict[str, Any]]:
    out = flagged.select("session_id").unique()
    raw = _counts(clicks.sessions, purchases.sessions)
    clean = _counts(
        clicks.sessions.join(out, on="session_id", how="anti"),
        purchases.sessions.join(out, on="session_id", how="anti"),
    )
    return [
        {"number": name, "raw": raw[name], "clean": clean[name], "delta": clean[name] - raw[name]}
        for name in raw
    ]


def _counts(clicks: pl.DataFrame, purchases: pl.DataFrame) -> dict[str, float]:
    sessions = len(clicks)
    buying = len(clicks.join(purchases, on="session_id", how="semi"))
    return {
        "clicks": int(clicks["events"].sum()),
        "sessions": sessions,
        "purchases": int(purchases["events"].sum()),
        "buying_sessions": buying,
        "conversion_rate": round(buying / sessions, 6) if sessions else 0.0,
        "clicks_per_session": round(int(clicks["events"].sum()) / sessions, 4) if sessions else 0.0,
    }


def small_trial(rules: Sequence[Rule]) -> Outcome:
    """A small day with every family of the trial, for a check that is done in seconds."""
    parameters, day = default_parameters(), date(2014, 4, 9)
    plan = load_plan("trial").dense(_SMALL_SESSIONS, _SMALL_LONERS)
    made = list(drawn_days(parameters, (day, day), lambda _: plan, _SMALL_SEED, _SMALL_SCALE))
    return try_rules(rules, events_of(made), labels_of(made))
