"""What-if: one threshold of a rule over a range of values, judged in one pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clickstream_guardian.errors import UsageError
from clickstream_guardian.rules.model import Rule, Threshold

_SETTING = re.compile(r"([a-z][a-z0-9_]*)=(\d+(?:\.\d+)?)\.\.(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Sweep:
    """A measure of a rule and the threshold values to try."""

    measure: str
    values: tuple[float, ...]


def parse_sweep(text: str, points: int) -> Sweep:
    """``clicks=30..120`` as so many evenly spaced values, whole where the ends are.

    Raises:
        UsageError: it is not written so.
    """
    match = _SETTING.fullmatch(text)
    if match is None or float(match[2]) >= float(match[3]):
        raise UsageError(f"--set {text!r} is not of the form clicks=30..120, low to high.")
    low, high = float(match[2]), float(match[3])
    whole = low.is_integer() and high.is_integer() and high - low >= 2
    raw = [low + (high - low) * n / (points - 1) for n in range(points)]
    values = sorted({float(round(value)) if whole else round(value, 6) for value in raw})
    return Sweep(match[1], tuple(values))


def variants(rule: Rule, sweep: Sweep) -> Sequence[Rule]:
    """The rule once per value, each under a name of its own (``RULE 30``).

    Raises:
        UsageError: the rule has no threshold on that measure.
    """
    threshold = rule.when.get(sweep.measure)
    if threshold is None:
        raise UsageError(
            f"{rule.name} has no threshold on {sweep.measure!r}; it has them on "
            f"{', '.join(rule.when)}."
        )
    return [
        replace(
            rule,
            name=f"{rule.name} {value:g}",
            when={
                **rule.when,
                sweep.measure: Threshold(
                    threshold.operator, value, f"{threshold.operator} {value:g}"
                ),
            },
        )
        for value in sweep.values
    ]
