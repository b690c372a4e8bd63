"""Remarks on rules that are right but perhaps not meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clickstream_guardian.rules.model import Ratio, Rule


def remarks(rules: Sequence[Rule]) -> Iterator[str]:
    """One sentence per oddity, with the file it stands in."""
    for rule in rules:
        yield from _unused_measures(rule)
        if rule.least_events <= 1:
            yield (
                f"{rule.place}: {rule.name} has no lower bound on a count, so every session is "
                'looked at closely; add one such as `clicks: ">= 20"`.'
            )


def _unused_measures(rule: Rule) -> Iterator[str]:
    used = set(rule.when)
    for measure in rule.measures.values():
        if isinstance(measure, Ratio):
            used |= {measure.numerator, measure.denominator}
    for name in rule.measures:
        if name not in used and f"{{{name}}}" not in rule.explain:
            yield f"{rule.place}: {rule.name} measures `{name}` and never uses it; remove it."
