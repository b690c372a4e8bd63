"""The rules as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clickstream_guardian.rules.loader import rule_text
from clickstream_guardian.rules.model import Rule, Window

_KEYS = {
    "session_id": "one session",
    "item_id": "one item",
    "item_set": "all sessions with the same set of items",
    "site": "the whole site",
}
_WORDS = (
    (
        "`key`",
        "by what events are grouped: `session_id`, `item_id`, `item_set` (all items a "
        "session looks at in the window), `site` (everything)",
    ),
    (
        "`events`",
        "the kind of event looked at (`click`, `purchase`)",
    ),
    (
        "`window`",
        "`{tumbling: 10s}` or `{hopping: {size: 60s, every: 10s}}`; aligned to the epoch. "
        "One that starts every minute or less often is judged when it closes, a quicker "
        "one all along",
    ),
    (
        "`count`",
        "distinct events in the window",
    ),
    (
        "`{distinct: item_id}`",
        "different values of the field, exactly; with another key `{distinct: session_id}`",
    ),
    (
        "`{steps: up}`, `{steps: change}`",
        "events whose item is greater than, or another than, that of the event before",
    ),
    (
        "`{gap: 0.9}`",
        "quantile (nearest rank) of the pauses between neighbouring events, in seconds",
    ),
    (
        "`{ratio: [a, b]}`",
        "one measure divided by another, both named above it",
    ),
    (
        "`members`",
        "with another key than the session: `measures` and `when` of one session in the "
        "window, which tell whether it would be blamed; as a measure, how many such "
        "sessions there are",
    ),
    (
        "`when`",
        "thresholds (`>=`, `<=`, `>`, `<`); all must hold",
    ),
    (
        "`explain`",
        "the reason in words, measures and `{key}` in braces",
    ),
    (
        "`about`",
        "what the rule is for, and where it may err",
    ),
    (
        "`mode`",
        "`enforce` (the default) counts towards a session's verdict, `shadow` is only recorded",
    ),
    (
        "`cooldown`",
        "for how long after an anomaly of a session the rule calls nobody again",
    ),
)
_HEAD = """# Rules

*Generated from the rule files; do not edit (`make docs`).*

A rule is a YAML file with a closed vocabulary. `guardian rules lint FILE` checks one; a wrong word
is named with file, line and the nearest valid one. Rules of your own: put the files into a folder
and set `GUARDIAN_RULES_DIR` to it.

{words}

Measured on {measured}. Precision is the share of flagged sessions that are attacks; recall is
of the family the rule finds most of, naive and jittered together.
"""


def render(rules: Sequence[Rule], measured: Mapping[str, Any], mimics: Mapping[str, Any]) -> str:
    """Markdown with one section per rule.

    Args:
        rules: the catalogue.
        measured: a result of ``bench/detection.py``.
        mimics: one of ``bench/detection.py --mimics``.
    """
    words = [f"| {word} | {meaning} |" for word, meaning in _WORDS]
    head = _HEAD.replace("{words}", "\n".join(["| word | meaning |", "|---|---|", *words])).replace(
        "{measured}",
        f"{measured['days']} generated days with labelled attacks of a seed that no rule was tuned "
        f"on ({measured['clean_sessions']:,} clean sessions; `{measured['command']}`)",
    )
    found = {row["rule"]: row for row in measured["rules"]}
    lines = [head, *_families(measured), *_mimics(mimics)]
    for rule in rules:
        lines += _section(rule, found.get(rule.name))
    return "\n".join(lines)


def _families(measured: Mapping[str, Any]) -> Iterator[str]:
    yield "## What the catalogue finds"
    yield ""
    yield "| family | strength | sessions | recall | precision | F1 | median delay |"
    yield "|---|---|---|---|---|---|---|"
    for row in measured["families"]:
        delay = "" if row["delay_seconds"] is None else f"{row['delay_seconds']:,.1f} s"
        shown = (_share(row[name]) for name in ("recall", "precision", "f1"))
        yield (
            f"| `{row['family']}` | {row['strength']} | {row['sessions']:,} | "
            f"{' | '.join(shown)} | {delay} |"
        )
    yield ""
    yield (
        f"Of a million clean sessions {measured['false_positives_per_million']:.0f} are flagged by "
        f"any rule; of the controls, {measured['flagged_controls']} sessions."
    )
    yield ""


_MIMICS = """## Mimics, along the false positives

A mimic keeps its family's one trait and takes the rest from clean sessions, so it is caught only at
the price of clean sessions. Here every threshold of a rule is eased by a factor (0.5: least values
halved, greatest doubled), and for each share of clean sessions that may be flagged the one rule and
factor are taken that find most of the family. The catalogue itself does not change. Measured on one
day of {scale} times the real shop's traffic by `{command}`.
"""


def _mimics(measured: Mapping[str, Any]) -> Iterator[str]:
    curves: dict[str, list[Mapping[str, Any]]] = {}
    for row in measured["curve"]:
        curves.setdefault(row["family"], []).append(row)
    rates = [row["rate"] for row in next(iter(curves.values()))]
    yield _MIMICS.format(scale=f"{measured['scale']:g}", command=measured["command"])
    shown = " | ".join(f"{rate:.2%}".replace("0%", "%").replace("%", " %") for rate in rates)
    yield f"| family | mimics | {shown} | at 0.1 % by |"
    yield "|---|---|" + "---|" * (len(rates) + 1)
    for family, rows in curves.items():
        at = next(row for row in rows if row["rate"] == _RATE)
        by = f"{at['rule']} × {at['looseness']:g}" if at["rule"] else ""
        recalls = " | ".join(_share(row["recall"]) for row in rows)
        yield f"| `{family}` | {rows[0]['sessions']:,} | {recalls} | {by} |"
    yield ""


_RATE = 0.001  # of the column whose rule is named


def _section(rule: Rule, row: Mapping[str, Any] | None) -> Iterator[str]:
    when = " and ".join(f"`{name} {threshold.text}`" for name, threshold in rule.when.items())
    yield f"## {rule.name}"
    yield ""
    yield (
        f"Version {rule.version}, severity **{rule.severity.label}**, mode {rule.mode}. "
        f"Fires when {when} among the {rule.events}s of {_KEYS[rule.key]} in "
        f"{_window(rule.window)}.{_blame(rule)}"
    )
    yield ""
    if rule.about:
        yield rule.about
        yield ""
    if row is not None:
        yield (
            f"Measured: precision {_share(row['precision'])} ({row['flagged']:,} sessions flagged, "
            f"of them {row['clean']:,} clean and {row['controls']:,} controls), "
            f"{row['false_positives_per_million']:g} false positives per million clean sessions; "
            f"{_best(row)}."
        )
        yield ""
    yield "```yaml"
    yield rule_text(rule).strip()
    yield "```"
    yield ""


def _blame(rule: Rule) -> str:
    if rule.members is None:
        return ""
    when = " and ".join(f"`{name} {one.text}`" for name, one in rule.members.when.items())
    return f" Blamed are its sessions with {when}."


def _best(row: Mapping[str, Any]) -> str:
    if row["family"] is None:
        return "no attack found"
    return f"recall {_share(row['recall'])} of `{row['family']}`"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _window(window: Window) -> str:
    size, every = window.size_us / 1e6, window.every_us / 1e6
    if window.panes == 1:
        return f"a window of {size:g} s"
    return f"a window of {size:g} s that starts every {every:g} s"
