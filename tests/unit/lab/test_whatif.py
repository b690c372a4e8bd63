"""A threshold over a range: the values, and the variants of the rule."""

from __future__ import annotations

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.whatif import Sweep, parse_sweep, variants
from clickstream_guardian.rules.loader import load_catalogue

RULES = {rule.name: rule for rule in load_catalogue()}


def test_whole_ends_give_whole_values() -> None:
    assert parse_sweep("clicks=30..120", 4) == Sweep("clicks", (30, 60, 90, 120))
    assert parse_sweep("clicks=3..5", 10) == Sweep("clicks", (3, 4, 5))
    assert parse_sweep("diversity=0.1..0.3", 3) == Sweep("diversity", (0.1, 0.2, 0.3))


@pytest.mark.parametrize("text", ["clicks", "clicks=5", "clicks=9..3", "clicks=3..3", "=1..2"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(UsageError, match="is not of the form clicks="):
        parse_sweep(text, 5)


def test_variants_differ_in_the_one_threshold() -> None:
    low, high = variants(RULES["BOT_LIKE"], Sweep("clicks", (50.0, 120.0)))
    assert (low.name, low.when["clicks"].text) == ("BOT_LIKE 50", ">= 50")
    assert high.when["clicks"].value == 120
    assert low.when["diversity"] == RULES["BOT_LIKE"].when["diversity"]
    with pytest.raises(UsageError, match="no threshold on 'speed'; it has them on clicks, div"):
        variants(RULES["BOT_LIKE"], Sweep("speed", (1.0,)))
