"""A rule file is a rule, or one sentence with file, line and the nearest word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream_guardian.rules.lint import remarks
from clickstream_guardian.rules.loader import (
    RuleError,
    load_catalogue,
    parse_rule,
    rule_text,
)
from clickstream_guardian.rules.model import Count, Distinct, Ratio, Severity

CATALOGUE = {rule.name: rule for rule in load_catalogue()}
BOT_LIKE = rule_text(CATALOGUE["BOT_LIKE"])


def test_the_two_given_rules_mean_what_they_say() -> None:
    burst, bot = CATALOGUE["HIGH_FREQUENCY"], CATALOGUE["BOT_LIKE"]
    assert (burst.window.size_us, burst.window.panes) == (10_000_000, 1)
    assert dict(burst.measures) == {"clicks": Count()}
    assert (bot.window.size_us, bot.window.every_us) == (60_000_000, 10_000_000)
    assert bot.measures["items"] == Distinct("item_id")
    assert bot.measures["diversity"] == Ratio("items", "clicks")
    assert bot.severity is Severity.CRITICAL
    assert (burst.least_events, bot.least_events) == (50, 100)


def test_fifty_or_more_holds_at_fifty() -> None:
    threshold = CATALOGUE["HIGH_FREQUENCY"].when["clicks"]
    assert threshold.holds(50)
    assert not threshold.holds(49)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "distinct",
            "distict",
            "bot.yaml:8: unknown word in measure: `distict`; did you mean `distinct`?",
        ),
        ("when:", "wen:", "bot.yaml:10: unknown word in a rule: `wen`; did you mean `when`?"),
        (
            "critical",
            "critcal",
            "bot.yaml:11: unknown severity: `critcal`; did you mean `critical`?",
        ),
        (
            "clicks: count",
            "clicks: coun",
            "bot.yaml:7: unknown measure: `coun`; did you mean `count`?",
        ),
        (
            "[items, clicks]",
            "[itms, clicks]",
            "bot.yaml:9: unknown measure: `itms`; did you mean `items`?",
        ),
        (
            "{items}",
            "{itms}",
            "bot.yaml:12: unknown measure in explain: `itms`; did you mean `items`?",
        ),
        ("item_id", "item", "bot.yaml:8: unknown field: `item`; did you mean `item_id`?"),
        ('">= 100"', '"=> 100"', "bot.yaml:10: threshold `=> 100` is not one of"),
        ('">= 100"', '">= many"', "bot.yaml:10: threshold `>= many` is not one of"),
        ("every: 10s", "every: 10x", "bot.yaml:5: duration `10x` is not a number"),
        ("every: 10s", "every: 7s", "bot.yaml:5: `size` must be a whole number of times `every`"),
        ("every: 10s", "every: 0s", "bot.yaml:5: duration `0s` is not a number"),
        ("size: 60s", "size: 48h", "bot.yaml:5: duration `48h` is longer"),
        ("version: 1", "version: zero", "bot.yaml:2: version `zero` is not a whole number"),
        ("rule: BOT_LIKE", "rule: bot like", "bot.yaml:1: rule name `bot like` is not in capitals"),
        ("severity: critical\n", "", "bot.yaml:1: the rule has no `severity`"),
        ("version: 1", "rule: X", "bot.yaml:2: `rule` stands twice"),
        ("{items}", "{items!r}", "bot.yaml:12: unknown measure in explain"),
        ("{items}", "{items", "bot.yaml:12: explain"),
        ("key: session_id", "key: [a", "is not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, said: str) -> None:
    assert old in BOT_LIKE
    with pytest.raises(RuleError) as caught:
        parse_rule(BOT_LIKE.replace(old, new, 1), "bot.yaml")
    assert str(caught.value).startswith("bot.yaml:")
    assert said in str(caught.value)


@given(st.text(max_size=200))
def test_no_text_gives_anything_but_a_rule_or_an_error(text: str) -> None:
    with pytest.raises(RuleError):
        parse_rule(text, "any.yaml")


@given(st.integers(0, len(BOT_LIKE) - 1), st.text(max_size=3), st.integers(0, 12))
def test_no_damage_to_a_rule_gives_a_traceback(place: int, put: str, cut: int) -> None:
    text = BOT_LIKE[:place] + put + BOT_LIKE[place + cut :]
    try:
        parse_rule(text, "any.yaml")
    except RuleError as error:
        assert str(error).startswith("any.yaml:")  # noqa: PT017


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(BOT_LIKE)
    with pytest.raises(RuleError, match=r"BOT_LIKE stands in .*a.yaml too"):
        load_catalogue(tmp_path)


def test_a_folder_without_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="holds no"):
        load_catalogue(tmp_path)
    with pytest.raises(RuleError, match="no such folder"):
        load_catalogue(tmp_path / "none")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"rule: A\n\xff")
    with pytest.raises(RuleError, match=r"bad.yaml:2: is not UTF-8"):
        load_catalogue(tmp_path)


def test_the_catalogue_gives_no_remark_and_an_unused_measure_does() -> None:
    assert list(remarks(tuple(CATALOGUE.values()))) == []
    text = BOT_LIKE.replace("measures:\n", "measures:\n  spare: {distinct: item_id}\n")
    assert any("`spare`" in remark for remark in remarks([parse_rule(text, "x.yaml")]))
