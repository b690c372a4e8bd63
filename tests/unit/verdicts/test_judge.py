"""What the severities of different rules make of a session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clickstream_guardian.rules.model import Severity
from clickstream_guardian.verdicts import AllowEntry, AllowKind, AllowList, Standing, Verdict, judge

START = datetime(2014, 4, 7, tzinfo=UTC)
LATER = START + timedelta(hours=1)


def standing(rule: str, severity: Severity, first: datetime = START) -> Standing:
    return Standing(rule, severity, first, LATER)


@pytest.mark.parametrize(
    ("severities", "verdict", "score"),
    [
        ([], "clean", 0.0),
        (["LOW"], "suspect", 0.2),
        (["MEDIUM"], "suspect", 0.6),
        (["MEDIUM", "LOW"], "suspect", 0.68),
        (["MEDIUM", "MEDIUM"], "abusive", 0.84),
        (["HIGH"], "abusive", 0.9),
        (["CRITICAL", "HIGH"], "abusive", 0.999),
    ],
)
def test_different_rules_add_up(severities: list[str], verdict: str, score: float) -> None:
    found = judge(standing(f"R{n}", Severity[name]) for n, name in enumerate(severities))
    assert (found.verdict, found.score) == (verdict, score)
    assert found.rules == tuple(f"R{n}" for n in range(len(severities)))


def test_it_was_first_flagged_when_the_first_rule_held() -> None:
    found = judge([standing("B", Severity.LOW, LATER), standing("A", Severity.LOW)])
    assert (found.first_flagged_at, found.last_flagged_at) == (START, LATER)
    assert found.rules == ("A", "B")


def test_a_rule_in_shadow_counts_towards_nothing() -> None:
    found = judge([standing("A", Severity.LOW), standing("S", Severity.CRITICAL)], {"S"})
    assert (found.verdict, found.rules) == (Verdict.SUSPECT, ("A",))


def test_the_allow_list_always_wins() -> None:
    found = judge([standing("A", Severity.CRITICAL)], allowed_by="ours")
    assert (found.verdict, found.score, found.rules) == (Verdict.CLEAN, 0.0, ())
    assert (found.first_flagged_at, found.allowed_by) == (None, "ours")


def test_an_anomaly_is_covered_when_all_its_evidence_lies_on_allowed_items() -> None:
    allowed = AllowList(
        [AllowEntry(AllowKind.ITEM, "1", "sale"), AllowEntry(AllowKind.ITEM, "2", "sale")]
    )
    assert allowed.covers(["1", "2", "1"])
    assert not allowed.covers(["1", "3"])
    assert not allowed.covers([])
