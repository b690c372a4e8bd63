"""Rule files become rules; what is wrong with one is said with file, line and the nearest word."""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import yaml

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import KIND_OF_NAME, EventKind
from clickstream_guardian.rules.model import (
    AT_CLOSE_US,
    OPERATORS,
    Condition,
    Count,
    Distinct,
    Gap,
    Measure,
    MemberCount,
    Mode,
    Ratio,
    Rule,
    Severity,
    Steps,
    Threshold,
    Window,
    least_events,
)

_KEYS = ("rule", "version", "key", "events", "window", "measures", "when", "severity", "explain")
_OPTIONAL = ("members", "mode", "cooldown", "about")
_RULE_KEYS = ("session_id", "item_id", "item_set", "site")
_SESSION_WORDS = ("distinct", "ratio", "steps", "gap")
_CROWD_WORDS = ("distinct", "ratio")
_STEPS = ("up", "change")
_UNITS_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
_DURATION = re.compile(r"(\d{1,6})(ms|s|m|h)")
_THRESHOLD = re.compile(r"(>=|<=|>|<)\s*(\d+(?:\.\d+)?)")
_NAME = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_MEASURE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_WINDOW_US = 24 * _UNITS_US["h"]
_MAX_PANES = 360
_MAX_FILE_BYTES = 64 * 1024


class RuleError(UsageError):
    """A rule file cannot be used; the message begins with ``file:line``."""


def load_catalogue(folder: Path | None = None) -> tuple[Rule, ...]:
    """All rules of a folder (``*.yaml``), by file name; the built-in catalogue by default.

    Raises:
        RuleError: a file is wrong, or two rules share a name.
    """
    if folder is None:
        root = resources.files("clickstream_guardian.rules") / "catalogue"
        files = [(f.name, f.read_text("utf-8")) for f in root.iterdir() if f.name.endswith(".yaml")]
    else:
        if not folder.is_dir():
            raise RuleError(f"{folder}: no such folder of rules; set GUARDIAN_RULES_DIR to one.")
        files = [(str(path), read_rule_file(path)) for path in folder.glob("*.yaml")]
    rules = tuple(parse_rule(text, place) for place, text in sorted(files))
    if not rules:
        raise RuleError(f"{folder}: holds no *.yaml rule; add one or unset GUARDIAN_RULES_DIR.")
    _refuse_same_names(rules)
    return rules


def rule_text(rule: Rule) -> str:
    """The YAML text a rule was read from."""
    if Path(rule.place).is_absolute() or Path(rule.place).exists():
        return read_rule_file(Path(rule.place))
    root = resources.files("clickstream_guardian.rules") / "catalogue"
    return (root / rule.place).read_text("utf-8")


def read_rule_file(path: Path) -> str:
    """The text of a rule file.

    Raises:
        RuleError: it cannot be read, is too large, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RuleError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    if len(data) > _MAX_FILE_BYTES:
        raise RuleError(f"{path}: {len(data)} bytes are too many; a rule fits in 64 KiB.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RuleError(f"{path}:{line}: is not UTF-8; save the file as UTF-8.") from error


def parse_rule(text: str, place: str) -> Rule:
    """One rule from its YAML text.

    Args:
        text: the file's contents.
        place: file name for messages.

    Raises:
        RuleError: with ``place:line`` and, for an unknown word, the nearest valid one.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise RuleError(f"{place}:{line}: is not YAML: {problem}; mend the line.") from error
    return _RuleReader(place).read(root)


class _RuleReader:
    """Reads one file's nodes; holds only the file's name."""

    def __init__(self, place: str) -> None:
        self.place = place

    def fail(self, node: yaml.Node | None, sentence: str) -> RuleError:
        line = node.start_mark.line + 1 if node is not None else 1
        return RuleError(f"{self.place}:{line}: {sentence}")

    def read(self, root: yaml.Node | None) -> Rule:
        fields = self.mapping(root, "a rule", (*_KEYS, *_OPTIONAL))
        for key in _KEYS:
            if key not in fields:
                raise self.fail(root, f"the rule has no `{key}`; add it.")
        kind = self.event_kind(fields["events"])
        key = self.choice(fields["key"], "key", _RULE_KEYS)
        crowd = key != "session_id"
        measures = self.measures(fields["measures"], crowd=crowd)
        rule = Rule(
            name=self.name(fields["rule"]),
            version=self.version(fields["version"]),
            key=key,
            events=kind.name,
            window=self.window(fields["window"]),
            measures=measures,
            when=self.when(fields["when"], measures),
            severity=Severity[
                self.choice(
                    fields["severity"], "severity", [s.name.lower() for s in Severity]
                ).upper()
            ],
            explain=self.explain(fields["explain"], measures, crowd=crowd),
            place=self.place,
            members=self.members(fields.get("members"), fields["key"], crowd=crowd),
            mode=Mode(self.choice(fields["mode"], "mode", list(Mode)))
            if "mode" in fields
            else Mode.ENFORCE,
            cooldown_us=self.duration(fields["cooldown"]) if "cooldown" in fields else 0,
            about=self.text(fields["about"], "about") if "about" in fields else "",
        )
        self.check_window(rule, fields)
        return rule

    def members(self, node: yaml.Node | None, key: yaml.Node, *, crowd: bool) -> Condition | None:
        if not crowd:
            if node is not None:
                raise self.fail(node, "a rule keyed by session_id has no `members`; remove them.")
            return None
        if node is None:
            raise self.fail(key, "the rule does not say whom it blames; add `members`.")
        fields = self.mapping(node, "members", ["measures", "when"])
        if set(fields) != {"measures", "when"}:
            raise self.fail(node, "`members` have `measures` and a `when`.")
        measures = self.measures(fields["measures"])
        when = self.when(fields["when"], measures)
        self.check_gaps(fields["when"], measures, when)
        return Condition(measures, when)

    def check_window(self, rule: Rule, fields: Mapping[str, yaml.Node]) -> None:
        """Words about order and crowds want windows that are judged when they close."""
        ordered = any(isinstance(m, Steps | Gap) for m in rule.measures.values())
        if (ordered or rule.members is not None) and not rule.at_close:
            raise self.fail(
                fields["window"],
                "`steps`, `gap` and `members` are measured when a window closes; let it start "
                f"every {AT_CLOSE_US // 60_000_000}m or less often.",
            )
        self.check_gaps(fields["when"], rule.measures, rule.when)

    def check_gaps(
        self, node: yaml.Node, measures: Mapping[str, Measure], when: Mapping[str, Threshold]
    ) -> None:
        has_gap = any(isinstance(measure, Gap) for measure in measures.values())
        if has_gap and least_events(measures, when) < 2:
            raise self.fail(
                node, 'a `gap` lies between two events: add a count such as `clicks: ">= 2"`.'
            )

    def mapping(
        self, node: yaml.Node | None, what: str, words: Sequence[str] | None = None
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, f"{what} is written as `name: value` pairs.")
        result: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self.text(key_node, "a name")
            if words is not None and key not in words:
                raise self.fail(key_node, self.unknown(f"word in {what}", key, words))
            if key in result:
                raise self.fail(key_node, f"`{key}` stands twice; keep one.")
            result[key] = value
        return result

    def text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.fail(node, f"{what} is one plain value, not a list or a mapping.")
        return str(node.value)

    @staticmethod
    def unknown(what: str, value: str, words: Iterable[str]) -> str:
        words = list(words)
        near = difflib.get_close_matches(value.lower(), words, n=1, cutoff=0.4)
        hint = f"did you mean `{near[0]}`?" if near else f"it is one of {', '.join(words)}."
        return f"unknown {what}: `{value[:80]}`; {hint}"

    def choice(self, node: yaml.Node, what: str, words: Sequence[str]) -> str:
        value = self.text(node, what)
        if value not in words:
            raise self.fail(node, self.unknown(what, value, words))
        return value

    def event_kind(self, node: yaml.Node) -> EventKind:
        return KIND_OF_NAME[self.choice(node, "events", list(KIND_OF_NAME))]

    def name(self, node: yaml.Node) -> str:
        value = self.text(node, "rule")
        if not _NAME.fullmatch(value):
            raise self.fail(
                node, f"rule name `{value[:80]}` is not in capitals, digits and underscores."
            )
        return value

    def version(self, node: yaml.Node) -> int:
        value = self.text(node, "version")
        if not re.fullmatch(r"[1-9]\d{0,8}", value):
            raise self.fail(node, f"version `{value[:80]}` is not a whole number from 1.")
        return int(value)

    def duration(self, node: yaml.Node) -> int:
        value = self.text(node, "a duration")
        match = _DURATION.fullmatch(value)
        if match is None or int(match[1]) == 0:
            raise self.fail(
                node, f"duration `{value[:80]}` is not a number with ms, s, m or h, such as 10s."
            )
        length = int(match[1]) * _UNITS_US[match[2]]
        if length > _MAX_WINDOW_US:
            raise self.fail(node, f"duration `{value}` is longer than a window may be (24h).")
        return length

    def window(self, node: yaml.Node) -> Window:
        fields = self.mapping(node, "window", ["tumbling", "hopping"])
        if len(fields) != 1:
            raise self.fail(node, "a window is either `tumbling` or `hopping`; name one.")
        if "tumbling" in fields:
            size = self.duration(fields["tumbling"])
            return Window(size, size)
        parts = self.mapping(fields["hopping"], "hopping", ["size", "every"])
        if set(parts) != {"size", "every"}:
            raise self.fail(fields["hopping"], "a hopping window has a `size` and an `every`.")
        size, every = self.duration(parts["size"]), self.duration(parts["every"])
        if size % every or size // every > _MAX_PANES:
            raise self.fail(
                parts["every"],
                f"`size` must be a whole number of times `every`, at most {_MAX_PANES} times.",
            )
        return Window(size, every)

    def measures(self, node: yaml.Node, *, crowd: bool = False) -> Mapping[str, Measure]:
        result: dict[str, Measure] = {}
        for name, value in self.mapping(node, "measures").items():
            if not _MEASURE_NAME.fullmatch(name) or name in ("key", "start"):
                raise self.fail(
                    value, f"measure name `{name[:80]}` is not in small letters, or is taken."
                )
            result[name] = self.measure(value, result, crowd=crowd)
        if not result:
            raise self.fail(
                node, "the rule measures nothing; add a measure such as `clicks: count`."
            )
        return result

    def measure(self, node: yaml.Node, known: Mapping[str, Measure], *, crowd: bool) -> Measure:
        if isinstance(node, yaml.ScalarNode):
            words = ["count", "members"] if crowd else ["count"]
            return Count() if self.choice(node, "measure", words) == "count" else MemberCount()
        words = list(_CROWD_WORDS if crowd else _SESSION_WORDS)
        fields = self.mapping(node, "measure", words)
        if len(fields) != 1:
            raise self.fail(node, f"a measure is one of `count`, `{'`, `'.join(words)}`.")
        ((word, value),) = fields.items()
        if word == "distinct":
            field = "session_id" if crowd else "item_id"
            return Distinct(self.choice(value, "field", [field]))
        if word == "steps":
            return Steps(self.choice(value, "kind of steps", _STEPS))
        if word == "gap":
            return Gap(self.quantile(value))
        return self.ratio(value, known)

    def quantile(self, node: yaml.Node) -> float:
        value = self.text(node, "a quantile")
        if not re.fullmatch(r"0\.\d{1,3}", value) or float(value) == 0:
            raise self.fail(node, f"quantile `{value[:80]}` is not a number such as 0.5.")
        return float(value)

    def ratio(self, node: yaml.Node, known: Mapping[str, Measure]) -> Ratio:
        if not isinstance(node, yaml.SequenceNode) or len(node.value) != 2:
            raise self.fail(node, "a ratio is a list of two measures: [numerator, denominator].")
        counts = [name for name, measure in known.items() if not isinstance(measure, Ratio)]
        if not counts:
            raise self.fail(
                node, "a ratio divides two measures that stand above it; there is none."
            )
        top, bottom = (self.choice(part, "measure", counts) for part in node.value)
        if isinstance(known[top], Gap) != isinstance(known[bottom], Gap):
            raise self.fail(node, "a ratio divides a count by a count, or a gap by a gap.")
        return Ratio(top, bottom)

    def when(self, node: yaml.Node, measures: Mapping[str, Measure]) -> Mapping[str, Threshold]:
        fields = self.mapping(node, "when", list(measures))
        if not fields:
            raise self.fail(node, 'the rule has no threshold; add one such as `clicks: ">= 50"`.')
        return {name: self.threshold(value) for name, value in fields.items()}

    def threshold(self, node: yaml.Node) -> Threshold:
        text = self.text(node, "a threshold")
        match = _THRESHOLD.fullmatch(text.strip())
        if match is None or len(match[2]) > 15:
            signs = ", ".join(OPERATORS)
            raise self.fail(
                node,
                f'threshold `{text[:80]}` is not one of {signs} and a number, such as ">= 50".',
            )
        return Threshold(match[1], float(match[2]), f"{match[1]} {match[2]}")

    def explain(self, node: yaml.Node, measures: Mapping[str, Measure], *, crowd: bool) -> str:
        text = self.text(node, "explain")
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            raise self.fail(node, f"explain `{text[:80]}` has a loose brace; close it.") from error
        for _, name, spec, conversion in parts:
            if crowd and name == "key" and not (spec or conversion):
                continue
            if name is not None and (name not in measures or spec or conversion):
                raise self.fail(node, self.unknown("measure in explain", name, measures))
        if not "".join(literal for literal, *_ in parts).strip():
            raise self.fail(node, "explain has no words; say what the measures mean.")
        return text


def _refuse_same_names(rules: Sequence[Rule]) -> None:
    seen: dict[str, str] = {}
    for rule in rules:
        if rule.name in seen:
            raise RuleError(
                f"{rule.place}:1: rule {rule.name} stands in {seen[rule.name]} too; rename one."
            )
        seen[rule.name] = rule.place
