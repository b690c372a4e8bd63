"""The header of a metric file: a comment that holds YAML, read with the line of every word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import yaml

from clickstream_guardian.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HEADER = re.compile(r"\A\s*/\*(.*?)\*/", re.DOTALL)


class MetricError(UsageError):
    """A metric file cannot be used; the message begins with ``file:line``."""


@dataclass(frozen=True)
class Header:
    """A mapping of the header; each reading method names the line of what it refuses.

    Attributes:
        place: the file, for messages.
        first_line: the line of the file on which the YAML begins, from 1.
        node: the YAML mapping.
        what: what the mapping describes, for messages.
    """

    place: str
    first_line: int
    node: yaml.MappingNode
    what: str

    def error(self, node: yaml.Node, sentence: str) -> MetricError:
        """An error at the line of ``node``."""
        return MetricError(f"{self.place}:{self.first_line + node.start_mark.line}: {sentence}")

    def entries(self, words: Iterable[str] | None = None) -> dict[str, yaml.Node]:
        """The entries by word; refuses a repeated word and, given ``words``, any other."""
        known = None if words is None else list(words)
        entries: dict[str, yaml.Node] = {}
        for key_node, value in self.node.value:
            word = self._scalar(key_node, "a word")
            if word in entries:
                raise self.error(key_node, f"`{word}` stands twice; keep one.")
            if known is not None and word not in known:
                raise self.error(key_node, f"unknown word `{word}`; {_nearest(word, known)}")
            entries[word] = value
        return entries

    def require(self, word: str) -> yaml.Node:
        """The node under ``word``."""
        for key_node, value in self.node.value:
            if key_node.value == word:
                return _node(value)
        raise self.error(self.node, f"{self.what} has no `{word}`; add it.")

    def has(self, word: str) -> bool:
        """Whether ``word`` is there."""
        return any(key_node.value == word for key_node, _ in self.node.value)

    def text(self, word: str) -> str:
        """The text under ``word``, not empty."""
        text = self._scalar(self.require(word), f"`{word}`").strip()
        if not text:
            raise self.error(self.require(word), f"`{word}` is empty; say what it is.")
        return text

    def name(self, word: str) -> str:
        """The name under ``word``: lower-case letters, digits, underscores."""
        return self.checked_name(self.require(word))

    def checked_name(self, node: yaml.Node) -> str:
        """The text of ``node`` as a name."""
        name = self._scalar(node, "a name")
        if not _NAME.fullmatch(name):
            raise self.error(
                node, f"`{name[:80]}` is no name; use lower-case letters, digits, underscores."
            )
        return name

    def choice(self, word: str, words: Sequence[str]) -> str:
        """The text under ``word``, one of ``words``."""
        value = self.text(word)
        if value not in words:
            raise self.error(
                self.require(word), f"unknown {word} `{value[:80]}`; {_nearest(value, words)}"
            )
        return value

    def whole_number(self, word: str, default: int) -> int:
        """The number from 1 under ``word``."""
        if not self.has(word):
            return default
        value = self.text(word)
        if not re.fullmatch(r"[1-9]\d{0,8}", value):
            raise self.error(self.require(word), f"{word} `{value[:80]}` is no number from 1.")
        return int(value)

    def names(self, word: str) -> tuple[str, ...]:
        """The list of names under ``word``; a single name may stand without brackets."""
        node = self.require(word)
        if isinstance(node, yaml.ScalarNode):
            return (self.checked_name(node),)
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.error(node, f"`{word}` is a list of names; write [name, name].")
        return tuple(self.checked_name(part) for part in node.value)

    def mapping(self, word: str) -> Header:
        """The mapping under ``word``."""
        return self.at(self.require(word), f"`{word}`")

    def at(self, node: yaml.Node, what: str) -> Header:
        """The mapping that ``node`` is."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{what} is written as `word: value` pairs.")
        return Header(self.place, self.first_line, node, what)

    def _scalar(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{what} is one plain value, not a list or a mapping.")
        return str(node.value)


def split_file(text: str, place: str) -> tuple[Header, str]:
    """The header of a metric file and the SQL after it.

    Raises:
        MetricError: there is no header, it is not YAML, or no single SELECT follows it.
    """
    match = _HEADER.match(text)
    if match is None:
        raise MetricError(f"{place}:1: does not begin with a header in /* */; add one.")
    first_line = text[: match.start(1)].count("\n") + 1
    header = _parse_header(match[1], place, first_line)
    body_line = text[: match.end()].count("\n") + 1
    return header, _checked_sql(text[match.end() :], place, body_line)


def _parse_header(yaml_text: str, place: str, first_line: int) -> Header:
    try:
        root = yaml.compose(yaml_text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark is not None else 0)
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise MetricError(f"{place}:{line}: the header is not YAML: {problem}.") from error
    if not isinstance(root, yaml.MappingNode):
        raise MetricError(f"{place}:{first_line}: the header is written as `word: value` pairs.")
    return Header(place, first_line, root, "the header")


def _checked_sql(body: str, place: str, first_line: int) -> str:
    sql = body.strip()
    line = first_line + body[: len(body) - len(body.lstrip())].count("\n")
    code = re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), sql)
    if not re.match(r"(?i)\s*(select|with)\b", code):
        raise MetricError(f"{place}:{line}: no SELECT follows the header; write one.")
    if ";" in code:
        line += code[: code.index(";")].count("\n")
        raise MetricError(f"{place}:{line}: has a semicolon; a metric is one SELECT without one.")
    return sql


def _nearest(value: str, words: Sequence[str] | Mapping[str, object]) -> str:
    near = difflib.get_close_matches(value.lower(), list(words), n=1, cutoff=0.4)
    return f"did you mean `{near[0]}`?" if near else f"it is one of {', '.join(words)}."


def _node(value: object) -> yaml.Node:
    assert isinstance(value, yaml.Node)
    return value
