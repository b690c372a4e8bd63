"""Detection: the catalogue on generated days with labelled attacks, of a seed no rule was tuned on.

Run: `python bench/detection.py [--days 7] [--seed 2026]`. Writes recall per family and
strength, precision and false positives per rule, delays and overlap. With `--floor` it writes what
`tests/unit/lab/test_floor.py` holds the catalogue to, instead; with `--mimics` the recall of mimics
that rules reach when their thresholds are eased, along the share of clean sessions then flagged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from bench.machine import RESULTS, write
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.lab.attacks.plan import AttackPlan, load_plan
from clickstream_guardian.lab.drawn import drawn_days, events_of, labels_of
from clickstream_guardian.lab.mimics import mimic_curve
from clickstream_guardian.lab.parameters import default_parameters
from clickstream_guardian.lab.pictures import draw_scores
from clickstream_guardian.lab.trial import small_trial, try_rules
from clickstream_guardian.rules.loader import load_catalogue

TUNING_SEED, JUDGING_SEED = 101, 2026
FLOOR = Path(__file__).parents[1] / "tests" / "unit" / "lab" / "floor.json"


def drawn(
    days: int, seed: int
) -> tuple[Callable[[EventKind], Iterable[pl.DataFrame]], pl.DataFrame]:
    """Some days from 2014-04-07 on with the trial's attacks, each crowd on one of them."""
    first = date(2014, 4, 7)
    span = first, first + timedelta(days=days - 1)
    trial = load_plan("trial")

    def plan_of(day: date) -> AttackPlan:
        return trial.of_day((day - first).days, days, 50_000)

    made = list(drawn_days(default_parameters(), span, plan_of, seed))
    return events_of(made), labels_of(made)


def floor() -> dict[str, Any]:
    """Recall per family and strength on the small day that the test judges."""
    outcome = small_trial(load_catalogue())
    recall: dict[str, dict[str, float]] = {}
    for row in outcome.scores.families.iter_rows(named=True):
        recall.setdefault(row["family"], {})[row["strength"]] = row["recall"]
    return {
        "tolerance": {"naive": 0.0, "jittered": 0.03, "mimic": 0.1},
        "clean_flagged_at_most": outcome.scores.flagged_clean + 2,
        "controls_flagged_at_most": outcome.scores.flagged_controls,
        "recall": recall,
    }


def mimics(seed: int, scale: float) -> dict[str, Any]:
    """The curve on one day that holds many mimics of each family."""
    day = date(2014, 4, 9)
    plan = load_plan("trial").dense(round(50_000 * scale), 40)
    made = list(drawn_days(default_parameters(), (day, day), lambda _: plan, seed, scale))
    curve = mimic_curve(load_catalogue(), events_of(made), labels_of(made))
    return {"seed": seed, "scale": scale, "curve": curve}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seed", type=int, default=JUDGING_SEED)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--mimics", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    if options.mimics:
        write("mimics", mimics(options.seed, options.scale))
        return
    if options.floor:
        FLOOR.write_text(json.dumps(floor(), indent=2) + "\n")
        return
    if options.seed == TUNING_SEED:
        sys.exit(f"seed {TUNING_SEED} is the one rules are tuned on; judge by another.")
    days, truth = drawn(options.days, options.seed)
    outcome = try_rules(load_catalogue(), days, truth)
    told = outcome.as_dict()
    write("detection", {"days": options.days, "seed": options.seed, **told})
    draw_scores(told, RESULTS / "detection.png")


if __name__ == "__main__":
    main()
