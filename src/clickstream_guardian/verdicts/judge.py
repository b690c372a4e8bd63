"""The verdict: what severities of different rules, taken together, make of a session."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from clickstream_guardian.rules.model import Severity

WEIGHTS: Mapping[Severity, float] = {
    Severity.LOW: 0.2,
    Severity.MEDIUM: 0.6,
    Severity.HIGH: 0.9,
    Severity.CRITICAL: 0.99,
}
"""How far one rule of a severity goes towards certainty, 0 to 1."""

ABUSIVE_FROM = 0.8
"""Least score of an abusive session: one high rule, or two different medium ones."""


class Verdict(StrEnum):
    """What is to be thought of a session."""

    CLEAN = "clean"
    SUSPECT = "suspect"  # worth a look, or a challenge
    ABUSIVE = "abusive"  # as good as certain


@dataclass(frozen=True)
class Standing:
    """What one rule holds against a session: its anomalies that are not withdrawn, in short.

    Attributes:
        severity: the greatest among them.
        first_at: least ``first_crossed_at`` among them, ``last_at`` the greatest.
    """

    rule: str
    severity: Severity
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on.

    Attributes:
        score: 0 to 1, to 4 places.
        rules: that counted, by name.
        first_flagged_at: event time at which the first of them held; ``last_flagged_at`` is the
            last such time. None where none counted.
        allowed_by: reason of the allow-list entry that set everything else aside.
    """

    verdict: Verdict = Verdict.CLEAN
    score: float = 0.0
    rules: tuple[str, ...] = ()
    first_flagged_at: datetime | None = None
    last_flagged_at: datetime | None = None
    allowed_by: str | None = None


def judge(
    standing: Iterable[Standing], shadow: Container[str] = (), allowed_by: str | None = None
) -> Judgement:
    """The verdict on one session.

    Rules are taken as independent witnesses: the score is 1 - product of (1 - weight) over the
    different rules, each with the weight of its severity. How often a rule fired plays no part.

    Args:
        standing: what each rule holds against it.
        shadow: names of rules that count towards nothing.
        allowed_by: reason of the entry that allows the session; it always wins.
    """
    counted = sorted((one for one in standing if one.rule not in shadow), key=lambda s: s.rule)
    if allowed_by is not None or not counted:
        return Judgement(allowed_by=allowed_by)
    score = round(1 - math.prod(1 - WEIGHTS[one.severity] for one in counted), 4)
    return Judgement(
        Verdict.ABUSIVE if score >= ABUSIVE_FROM else Verdict.SUSPECT,
        score,
        tuple(one.rule for one in counted),
        min(one.first_at for one in counted),
        max(one.last_at for one in counted),
    )
