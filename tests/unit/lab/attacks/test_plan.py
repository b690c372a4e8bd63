"""The attack plan: what it may say, and the line of what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.attacks.families import FAMILIES
from clickstream_guardian.lab.attacks.plan import AttackPlan, Range, load_plan

GOOD = """\
attacks:
  - attack: hammer
    family: runaway_burst
    share: 0.001
    hours: [3, 5.5]
    parameters:
      clicks_per_second: 20
      seconds: [10, 20]
      pages: [1, 3]
"""


def _load(folder: Path, text: str) -> AttackPlan:
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return load_plan(str(path))


def test_default_has_both_families_and_a_small_share() -> None:
    plan = load_plan("default")
    assert {attack.family for attack in plan.attacks} == {"runaway_burst", "fast_bot"}
    assert set(FAMILIES) >= {attack.family for attack in plan.attacks}
    assert sum(attack.share for attack in plan.attacks) == pytest.approx(0.0004)


def test_none_is_empty() -> None:
    assert load_plan("none") == AttackPlan()


def test_a_plan_is_read_whole(tmp_path: Path) -> None:
    (attack,) = _load(tmp_path, GOOD).attacks
    assert (attack.name, attack.family, attack.share) == ("hammer", "runaway_burst", 0.001)
    assert attack.hours == Range(3, 5.5)
    assert attack.parameters["clicks_per_second"] == Range(20, 20)
    assert attack.parameters["seconds"] == Range(10, 20)


@pytest.mark.parametrize(
    ("line", "old", "new", "sentence"),
    [
        (3, "runaway_burst", "slow_loris", "'slow_loris'; the families are runaway_burst"),
        (2, "hammer", "a b", "must be a word of letters"),
        (4, "0.001", "0.2", r"attacks\[0\].share is 0.2; it must lie between 0 and 0.1"),
        (4, "0.001", "[0.1, 0.2]", "must be a number"),
        (4, "0.001", ".nan", "must be a number"),
        (5, "[3, 5.5]", "[3, 25]", "hours is 25; it must lie between 0 and 24"),
        (5, "hours", "hour", r"attacks\[0\]: 'hour' is not known"),
        (7, "clicks_per_second", "clicks", "parameters: 'clicks' is not known"),
        (9, "clicks_per_second: 20", "pages: 2", "'pages' is there twice"),
        (8, "[10, 20]", "[20, 10]", r"seconds is \[20, 10\]; write the lower number first"),
        (8, "[10, 20]", "[10, 20, 30]", r"a pair \[low, high\]"),
        (8, "[10, 20]", "{low: 3}", "must be a number, or a pair"),
        (5, "share: 0.001", "hours: 3", "'hours' is there twice"),
        (4, "share: 0.001", "strength: fierce\n    share: 0.001", "the strengths are naive, jitt"),
        (4, "runaway_burst", "bulk_order\n    strength: naive", "is a control and has no strength"),
        (1, "attacks:", "attack:", "'attack' is not known; the words are attacks"),
    ],
)
def test_wrong_plan_is_named_with_its_line(
    tmp_path: Path, line: int, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as failure:
        _load(tmp_path, GOOD.replace(old, new, 1))
    assert str(failure.value).startswith(f"{tmp_path / 'plan.yaml'}:{line}: ")


def test_missing_parameter(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"plan\.yaml:7: .*'pages' is missing; add it"):
        _load(tmp_path, GOOD.replace("      pages: [1, 3]\n", ""))


def test_the_same_name_twice(tmp_path: Path) -> None:
    twice = GOOD + GOOD.removeprefix("attacks:\n")
    with pytest.raises(UsageError, match=r"plan\.yaml:10: the attack 'hammer' is there twice"):
        _load(tmp_path, twice)


def test_a_session_must_fit_in_memory(tmp_path: Path) -> None:
    endless = GOOD.replace("[10, 20]", "3600").replace("second: 20", "second: 900")
    with pytest.raises(UsageError, match=r"a session of 3,240,000 clicks; ask for at most"):
        _load(tmp_path, endless)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"plan\.yaml:1: the plan is empty"),
        ("attacks: [", r"plan\.yaml:1: not YAML"),
        ("attacks: 3", r"plan\.yaml:1: attacks must be a list"),
        ("- attacks", r"plan\.yaml:1: the plan must be `name: value` lines"),
        ("a: \x00", r"plan\.yaml: not YAML"),
    ],
)
def test_not_a_plan_at_all(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        _load(tmp_path, text)


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"Cannot read the attack plan .*; give none, default, trial"
    ):
        load_plan(str(tmp_path / "none.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="it is not UTF-8 text"):
        load_plan(str(tmp_path / "latin.yaml"))
