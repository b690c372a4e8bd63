"""The plan of attacks: a YAML file, checked word by word when it is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import NoReturn

import yaml

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.attacks.families import FAMILIES
from clickstream_guardian.lab.attacks.scene import Limit, Strength

MOST_CLICKS = 200_000
"""The longest attacking session that a plan may ask for."""

_REQUIRED = ("attack", "family", "share", "parameters")
_OPTIONAL = ("hours", "strength")
_BUILT_IN = ("default", "trial")
_SHARE = Limit("Attacking sessions beside the day's clean ones.", 0, 0.1)
_HOURS = Limit("Hours of the day (UTC) in which the sessions begin.", 0, 24)


@dataclass(frozen=True)
class Range:
    """A number that is drawn anew for every session, between low and high."""

    low: float
    high: float


_ALL_DAY = Range(0, 24)


@dataclass(frozen=True)
class Attack:
    """One entry of the plan.

    `share` is the number of attacking sessions beside a day's clean ones, `hours` the hours of
    the day (UTC) in which they begin, `strength` how well they hide.
    """

    name: str
    family: str
    share: float
    hours: Range
    parameters: Mapping[str, Range]
    strength: Strength = Strength.NAIVE

    @property
    def sessions(self) -> float:
        """Sessions of one occasion in the mean; 1 where the family attacks one by one."""
        size = self.parameters.get("sessions")
        return 1.0 if size is None else (size.low + size.high) / 2

    @property
    def most_sessions(self) -> float:
        """Sessions of one occasion at the most."""
        size = self.parameters.get("sessions")
        return 1.0 if size is None else size.high


@dataclass(frozen=True)
class AttackPlan:
    """All attacks of a run."""

    attacks: tuple[Attack, ...] = ()

    def chosen(self, families: Collection[str], strengths: Collection[str]) -> AttackPlan:
        """Only the attacks of these families and strengths; an empty choice chooses all.

        Raises:
            UsageError: a family or strength is none of the plan's, or nothing is left.
        """
        for word, wanted, own in (
            ("family", families, {one.family for one in self.attacks}),
            ("strength", strengths, {one.strength.value for one in self.attacks}),
        ):
            for one in wanted:
                if one not in own:
                    raise UsageError(
                        f"No attack of the plan has the {word} {one!r}; it has "
                        f"{', '.join(sorted(own)) or 'none'}."
                    )
        left = tuple(
            one
            for one in self.attacks
            if (not families or one.family in families)
            and (not strengths or one.strength in strengths)
        )
        if not left:
            raise UsageError("The choice leaves no attack of the plan; choose otherwise.")
        return AttackPlan(left)

    def scaled(self, share: float) -> AttackPlan:
        """The same attacks in the same proportion, all together so many beside the clean sessions.

        Raises:
            UsageError: the share is not above 0 and up to 0.5.
        """
        if not 0 < share <= 0.5:
            raise UsageError(f"The share is {share:g}; use a number above 0 and up to 0.5.")
        whole = sum(one.share for one in self.attacks)
        if not whole:
            raise UsageError("The plan's shares are all 0; give one of them more.")
        factor = share / whole
        return AttackPlan(tuple(replace(one, share=one.share * factor) for one in self.attacks))

    def of_day(self, number: int, days: int, clean_sessions: int) -> AttackPlan:
        """The plan for one of several days: attacks by many sessions happen on one day of them.

        Chance would leave a short trial without some of them; those by one are left to it.

        Args:
            number: which day, from 0.
            days: of how many.
            clean_sessions: clean sessions of a day.
        """
        return AttackPlan(
            tuple(
                attack
                if attack.sessions == 1
                else replace(
                    attack,
                    share=1.2 * attack.sessions / clean_sessions if place % days == number else 0,
                )
                for place, attack in enumerate(self.attacks)
            )
        )

    def dense(self, clean_sessions: int, loners: int) -> AttackPlan:
        """The same attacks, so many that a small day holds each of them.

        Args:
            clean_sessions: clean sessions of a day.
            loners: sessions of every attack by one session at a time; of the others one occasion.
        """
        return AttackPlan(
            tuple(
                replace(
                    attack,
                    share=(loners if attack.sessions == 1 else attack.sessions) / clean_sessions,
                )
                for attack in self.attacks
            )
        )


def load_plan(choice: str) -> AttackPlan:
    """The plan called `default`, `trial` or `none`, or read from a YAML file.

    `trial` holds every family in every strength, and the controls: what rules are judged by.

    Raises:
        UsageError: The file cannot be read or says something a plan cannot; the sentence names
            the file and the line.
    """
    if choice == "none":
        return AttackPlan()
    if choice in _BUILT_IN:
        file = resources.files(__package__) / f"{choice}.yaml"
        return _Reader(file.name).plan(file.read_text(encoding="utf-8"))
    try:
        text = Path(choice).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(
            f"Cannot read the attack plan {choice}: {reason}; give none, default, trial "
            "or a YAML file."
        ) from error
    return _Reader(choice).plan(text)


@dataclass(frozen=True)
class _Reader:
    """Turns YAML nodes, which know their line, into a plan."""

    place: str

    def plan(self, text: str) -> AttackPlan:
        root = self.compose(text)
        entries = self.mapping(root, "the plan", ("attacks",))["attacks"]
        if not isinstance(entries, yaml.SequenceNode):
            self.fail(entries, "attacks must be a list; begin every entry with `- attack: NAME`.")
        attacks = tuple(self.attack(n, node) for n, node in enumerate(entries.value))
        for n, (attack, node) in enumerate(zip(attacks, entries.value, strict=True)):
            if attack.name in {one.name for one in attacks[:n]}:
                self.fail(node, f"the attack {attack.name!r} is there twice; rename one.")
        return AttackPlan(attacks)

    def compose(self, text: str) -> yaml.Node:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UsageError(f"{self.place}:{line}: not YAML: {error.problem}.") from error
        except yaml.YAMLError as error:
            raise UsageError(f"{self.place}: not YAML: {error}.") from error
        if root is None:
            raise UsageError(f"{self.place}:1: the plan is empty; write `attacks:` and a list.")
        return root

    def attack(self, number: int, node: yaml.Node) -> Attack:
        place = f"attacks[{number}]"
        fields = self.mapping(node, place, _REQUIRED, _OPTIONAL)
        family = self.text(fields["family"], f"{place}.family")
        if family not in FAMILIES:
            words = ", ".join(FAMILIES)
            self.fail(fields["family"], f"{place}.family is {family!r}; the families are {words}.")
        hours = fields.get("hours")
        return Attack(
            name=self.text(fields["attack"], f"{place}.attack"),
            family=family,
            share=self.range(fields["share"], f"{place}.share", _SHARE, one=True).low,
            hours=self.range(hours, f"{place}.hours", _HOURS) if hours else _ALL_DAY,
            strength=self.strength(fields.get("strength"), f"{place}.strength", family),
            parameters=self.parameters(fields["parameters"], f"{place}.parameters", family),
        )

    def strength(self, node: yaml.Node | None, place: str, family: str) -> Strength:
        if FAMILIES[family].control:
            if node is not None:
                self.fail(node, f"{place}: {family} is a control and has no strength; remove it.")
            return Strength.CONTROL
        words = [one.value for one in Strength if one is not Strength.CONTROL]
        if node is None:
            return Strength.NAIVE
        value = self.text(node, place)
        if value not in words:
            self.fail(node, f"{place} is {value!r}; the strengths are {', '.join(words)}.")
        return Strength(value)

    def parameters(self, node: yaml.Node, place: str, family: str) -> dict[str, Range]:
        limits = FAMILIES[family].parameters
        given = self.mapping(node, place, tuple(limits))
        parameters = {
            word: self.range(given[word], f"{place}.{word}", limit)
            for word, limit in limits.items()
        }
        most = FAMILIES[family].clicks({word: span.high for word, span in parameters.items()})
        if most > MOST_CLICKS:
            self.fail(
                node,
                f"{place} can make a session of {most:,.0f} clicks; ask for at most "
                f"{MOST_CLICKS:,}.",
            )
        return parameters

    def mapping(
        self,
        node: yaml.Node,
        place: str,
        required: tuple[str, ...],
        optional: tuple[str, ...] = (),
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{place} must be `name: value` lines.")
        words = (*required, *optional)
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            word = str(key.value)
            if word not in words:
                self.fail(key, f"{place}: {word!r} is not known; the words are {', '.join(words)}.")
            if word in fields:
                self.fail(key, f"{place}: {word!r} is there twice; remove one.")
            fields[word] = value
        for word in required:
            if word not in fields:
                self.fail(node, f"{place}: {word!r} is missing; add it.")
        return fields

    def text(self, node: yaml.Node, place: str) -> str:
        value = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
        if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            self.fail(node, f"{place} must be a word of letters, digits, `_` and `-`.")
        return value

    def range(self, node: yaml.Node, place: str, limit: Limit, *, one: bool = False) -> Range:
        pair = node.value if isinstance(node, yaml.SequenceNode) and not one else [node, node]
        if len(pair) != 2:
            self.fail(node, f"{place} must be a number or a pair [low, high].")
        low, high = (self.number(part, place, limit) for part in pair)
        if low > high:
            self.fail(node, f"{place} is [{low:g}, {high:g}]; write the lower number first.")
        return Range(low, high)

    def number(self, node: yaml.Node, place: str, limit: Limit) -> float:
        try:
            number = float(node.value)
        except (TypeError, ValueError):
            self.fail(node, f"{place} must be a number, or a pair of numbers [low, high].")
        if not limit.low <= number <= limit.high:
            self.fail(
                node,
                f"{place} is {number:g}; it must lie between {limit.low:g} and {limit.high:g}.",
            )
        return number

    def fail(self, node: yaml.Node, sentence: str) -> NoReturn:
        raise UsageError(f"{self.place}:{node.start_mark.line + 1}: {sentence}")
