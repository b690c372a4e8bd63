"""Detection: the catalogue on generated days with labelled attacks, of a seed no rule was tuned on.

Run: `python bench/detection.py [--days 7] [--seed 2026]`. Writes recall per family and
strength, precision and false positives per rule, delays and overlap.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from datetime import date, timedelta

import polars as pl

from bench.machine import RESULTS, write
from clickstream_guardian.events.fields import CLICK, EventKind
from clickstream_guardian.lab.attacks.plan import load_plan
from clickstream_guardian.lab.drawn import drawn_days
from clickstream_guardian.lab.parameters import default_parameters
from clickstream_guardian.lab.pictures import draw_scores
from clickstream_guardian.lab.trial import try_rules
from clickstream_guardian.rules.loader import load_catalogue

TUNING_SEED, JUDGING_SEED = 101, 2026


def drawn(
    days: int, seed: int
) -> tuple[Callable[[EventKind], Iterable[pl.DataFrame]], pl.DataFrame]:
    """Some days from 2014-04-07 on with the trial's attacks, and their labels."""
    first = date(2014, 4, 7)
    span = first, first + timedelta(days=days - 1)
    made = list(drawn_days(default_parameters(), span, load_plan("trial"), seed))
    labels = [label for day in made for label in day.labels]
    truth = pl.DataFrame(
        {
            "session_id": [str(label.session_id) for label in labels],
            "family": [label.family for label in labels],
            "strength": [str(label.strength) for label in labels],
        }
    )
    events = {
        kind: pl.concat([day.clicks if kind else day.purchases for day in made]).sort(
            "occurred_at", maintain_order=True
        )
        for kind in (True, False)
    }
    return lambda kind: [events[kind is CLICK]], truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seed", type=int, default=JUDGING_SEED)
    options = parser.parse_args()
    if options.seed == TUNING_SEED:
        sys.exit(f"seed {TUNING_SEED} is the one rules are tuned on; judge by another.")
    days, truth = drawn(options.days, options.seed)
    outcome = try_rules(load_catalogue(), days, truth)
    told = outcome.as_dict()
    write("detection", {"days": options.days, "seed": options.seed, **told})
    draw_scores(told, RESULTS / "detection.png")


if __name__ == "__main__":
    main()
