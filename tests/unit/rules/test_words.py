"""The words about order, pauses and crowds: what they read as, and what is refused."""

from __future__ import annotations

import pytest

from clickstream_guardian.rules.loader import RuleError, parse_rule
from clickstream_guardian.rules.model import Distinct, Gap, MemberCount, Mode, Steps

CROWD = """\
rule: FARM
version: 1
key: item_id
events: click
window: {hopping: {size: 1h, every: 30m}}
members:
  measures: {clicks: count, pause: {gap: 0.5}}
  when: {clicks: ">= 2", pause: "<= 2"}
measures: {sessions: {distinct: session_id}, hasty: members, share: {ratio: [hasty, sessions]}}
when: {hasty: ">= 30", share: ">= 0.5"}
severity: low
explain: "{hasty} on {key}"
mode: shadow
cooldown: 10m
about: Where it errs.
"""
STEPS = """\
rule: WALK
version: 1
key: session_id
events: click
window: {tumbling: 2m}
measures: {clicks: count, rises: {steps: up}, pause: {gap: 0.9}}
when: {clicks: ">= 3", rises: ">= 2", pause: "<= 9"}
severity: low
explain: "{clicks} clicks"
"""


def test_a_crowd_rule_is_read_whole() -> None:
    rule = parse_rule(CROWD, "farm.yaml")
    assert (rule.key, rule.mode, rule.cooldown_us) == ("item_id", Mode.SHADOW, 600_000_000)
    assert rule.measures["sessions"] == Distinct("session_id")
    assert rule.measures["hasty"] == MemberCount()
    assert rule.members is not None
    assert rule.members.measures["pause"] == Gap(0.5)
    assert (rule.at_close, rule.least_events, rule.about) == (True, 30, "Where it errs.")


def test_steps_and_gaps() -> None:
    rule = parse_rule(STEPS, "walk.yaml")
    assert (rule.measures["rises"], rule.measures["pause"]) == (Steps("up"), Gap(0.9))
    assert (rule.mode, rule.cooldown_us, rule.members) == (Mode.ENFORCE, 0, None)


@pytest.mark.parametrize(
    ("text", "old", "new", "sentence"),
    [
        (STEPS, "tumbling: 2m", "tumbling: 10s", r"walk:5: `steps`, `gap` and `members` are meas"),
        (STEPS, 'clicks: ">= 3", rises: ">= 2", ', "", r"walk:7: a `gap` lies between two events"),
        (STEPS, "steps: up", "steps: down", "unknown kind of steps: `down`"),
        (STEPS, "gap: 0.9", "gap: 90", "quantile `90` is not a number such as 0.5"),
        (STEPS, "gap: 0.9", "gap: 0.0", "quantile `0.0` is not a number"),
        (STEPS, "{steps: up}", "members", "unknown measure: `members`"),
        (
            STEPS,
            "{gap: 0.9}",
            "{ratio: [clicks, clicks]}, s: {gap: 0.5}, q: {ratio: [s, clicks]}",
            "divides a count by a count, or a gap by a gap",
        ),
        (STEPS, "key: session_id", "key: user", "unknown key: `user`"),
        (STEPS, "explain:", "mode: kill\nexplain:", "unknown mode: `kill`"),
        (STEPS, "explain:", "members: {}\nexplain:", "keyed by session_id has no `members`"),
        (STEPS, '"{clicks} clicks"', '"{key} clicks"', "unknown measure in explain: `key`"),
        (CROWD, "members:\n", "member:\n", "unknown word in a rule: `member`"),
        (CROWD, "every: 30m", "every: 30s", "let it start every 1m or less often"),
        (CROWD, 'clicks: ">= 2", ', "", "a `gap` lies between two events"),
        (CROWD, "distinct: session_id", "distinct: item_id", "did you mean `session_id`"),
    ],
)
def test_what_is_refused(text: str, old: str, new: str, sentence: str) -> None:
    assert old in text
    with pytest.raises(RuleError, match=sentence):
        parse_rule(text.replace(old, new, 1), "walk")


def test_a_crowd_without_members_blames_nobody() -> None:
    start, end = CROWD.index("members:\n"), CROWD.index("measures: {sessions")
    with pytest.raises(RuleError, match="does not say whom it blames; add `members`"):
        parse_rule(CROWD[:start] + CROWD[end:], "farm.yaml")
