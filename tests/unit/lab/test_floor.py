"""No change of the catalogue may worsen a family beyond the tolerances written in `floor.json`.

What a better catalogue reaches is written anew by `python bench/detection.py --floor`.
"""

from __future__ import annotations

import json
from pathlib import Path

from clickstream_guardian.lab.trial import small_trial
from clickstream_guardian.rules.loader import load_catalogue

FLOOR = json.loads((Path(__file__).parent / "floor.json").read_text())


def test_the_catalogue_finds_no_less_than_it_did() -> None:
    scores = small_trial(load_catalogue()).scores
    worse = [
        (row["family"], row["strength"], row["recall"], floor)
        for row in scores.families.iter_rows(named=True)
        for floor in [FLOOR["recall"][row["family"]][row["strength"]]]
        if row["recall"] < floor - FLOOR["tolerance"][row["strength"]]
    ]
    assert worse == []
    assert len(scores.families) == sum(map(len, FLOOR["recall"].values()))
    assert scores.flagged_clean <= FLOOR["clean_flagged_at_most"]
    assert scores.flagged_controls <= FLOOR["controls_flagged_at_most"]


def test_a_catalogue_without_a_rule_is_seen_to_be_worse() -> None:
    rules = [rule for rule in load_catalogue() if rule.name != "PRICE_WATCHER"]
    scores = small_trial(rules).scores
    recall = {
        (row["family"], row["strength"]): row["recall"]
        for row in scores.families.iter_rows(named=True)
    }
    floor = FLOOR["recall"]["price_watcher"]["naive"] - FLOOR["tolerance"]["naive"]
    assert recall["price_watcher", "naive"] < floor
