"""The rules as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clickstream_guardian.rules.loader import rule_text
from clickstream_guardian.rules.model import Rule, Window

_HEAD = """# Rules

*Generated from the rule files; do not edit (`make docs`).*

A rule is a YAML file with a closed vocabulary. `guardian rules lint FILE` checks one; a wrong word
is named with file, line and the nearest valid one. Rules of your own: put the files into a folder
and set `GUARDIAN_RULES_DIR` to it.

| word | meaning |
|---|---|
| `key` | the field by which events are grouped (`session_id`) |
| `events` | the kind of event looked at (`click`) |
| `window` | `{tumbling: 10s}` or `{hopping: {size: 60s, every: 10s}}`; aligned to the epoch |
| `count` | distinct events in the window |
| `{distinct: item_id}` | different values of the field, exactly |
| `{ratio: [a, b]}` | one measure divided by another, both named above it |
| `when` | thresholds (`>=`, `<=`, `>`, `<`); all must hold |
| `explain` | the reason in words, measures in braces |
"""


def render(rules: Sequence[Rule]) -> str:
    """Markdown with one section per rule."""
    return "\n".join([_HEAD, *(line for rule in rules for line in _section(rule))])


def _section(rule: Rule) -> Iterator[str]:
    when = " and ".join(f"`{name} {threshold.text}`" for name, threshold in rule.when.items())
    yield f"## {rule.name}"
    yield ""
    yield (
        f"Version {rule.version}, severity **{rule.severity.name.lower()}**. Fires when {when} "
        f"among the {rule.events}s of one session in {_window(rule.window)}."
    )
    yield ""
    yield "```yaml"
    yield rule_text(rule).strip()
    yield "```"
    yield ""


def _window(window: Window) -> str:
    size, every = window.size_us / 1e6, window.every_us / 1e6
    if window.panes == 1:
        return f"a window of {size:g} s"
    return f"a window of {size:g} s that starts every {every:g} s"
