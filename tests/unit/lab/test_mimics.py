"""Recall of mimics along the false positives."""

from __future__ import annotations

import polars as pl
import pytest

from clickstream_guardian.lab.mimics import RATES, best_within, loosened
from clickstream_guardian.rules.loader import load_catalogue

RULES = {rule.name: rule for rule in load_catalogue()}


def test_every_threshold_is_eased_those_of_members_too() -> None:
    scan = loosened(RULES["BOT_LIKE"], 0.5)
    assert scan.name == "BOT_LIKE 0.5"
    assert {name: one.text for name, one in scan.when.items()} == {
        "clicks": ">= 50",
        "diversity": "<= 0.2",
    }
    farm = loosened(RULES["CLICK_FARM"], 0.5)
    assert farm.members is not None
    assert farm.members.when["items"].value == 2
    assert RULES["CLICK_FARM"].when["devoted"].value == 2 * farm.when["devoted"].value


@pytest.mark.parametrize("name", RULES)
def test_a_rule_eased_by_one_is_the_rule(name: str) -> None:
    same = loosened(RULES[name], 1.0)
    assert {k: v.value for k, v in same.when.items()} == {
        k: v.value for k, v in RULES[name].when.items()
    }


def test_for_each_rate_the_variant_within_it_that_finds_most() -> None:
    """Of 1,000 clean sessions A 1 flags none and finds 1 of 4 mimics, A 0.5 one and 3."""
    labels = pl.DataFrame(
        {
            "session_id": ["m0", "m1", "m2", "m3", "n0"],
            "family": ["f"] * 5,
            "strength": ["mimic"] * 4 + ["naive"],
        }
    )
    flagged = pl.DataFrame(
        [("A 1", "m0"), ("A 1", "m0"), ("A 1", "n0")]
        + [("A 0.5", name) for name in ("m0", "m1", "m2", "c1")]
        + [("B 0.3", name) for name in ("m0", "m1", "m2", "m3", *(f"c{n}" for n in range(500)))],
        schema=["rule", "session_id"],
        orient="row",
    )
    rows = best_within(flagged, labels, 1_000)
    assert [(row["rate"], row["recall"]) for row in rows] == list(
        zip(RATES, (0.25, 0.25, 0.75, 0.75, 0.75), strict=True)
    )
    assert (rows[2]["rule"], rows[2]["looseness"]) == ("A", 0.5)
    assert rows[2]["false_positive_rate"] == 0.001


def test_a_family_that_nothing_finds_has_no_rule() -> None:
    labels = pl.DataFrame({"session_id": ["m"], "family": ["f"], "strength": ["mimic"]})
    rows = best_within(pl.DataFrame(schema={"rule": pl.String, "session_id": pl.String}), labels, 9)
    assert {(row["rule"], row["recall"]) for row in rows} == {(None, 0.0)}
