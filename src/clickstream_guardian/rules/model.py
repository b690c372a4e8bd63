"""A rule as the rest of the program sees it: frozen, complete, already checked."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
"""How a measure may be compared with its threshold."""


class Severity(IntEnum):
    """How bad it is, in rising order."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True)
class Window:
    """A tumbling (``every_us == size_us``) or hopping window; starts are aligned to the epoch.

    ``every_us`` divides ``size_us``, so a window is a whole number of panes of ``every_us``.
    """

    size_us: int
    every_us: int

    @property
    def panes(self) -> int:
        """How many panes a window spans, and so in how many windows an event lies."""
        return self.size_us // self.every_us


@dataclass(frozen=True)
class Count:
    """How many distinct events there are."""


@dataclass(frozen=True)
class Distinct:
    """How many different values of a field there are, exactly."""

    field: str


@dataclass(frozen=True)
class Ratio:
    """One count divided by another (of at least 1), in double precision."""

    numerator: str
    denominator: str


Measure = Count | Distinct | Ratio


@dataclass(frozen=True)
class Threshold:
    """``operator`` and ``value``; ``text`` is how the rule's author wrote it."""

    operator: str
    value: float
    text: str

    def holds(self, measured: float) -> bool:
        """Whether the measured value meets the threshold."""
        return OPERATORS[self.operator](measured, self.value)


@dataclass(frozen=True)
class Rule:
    """One rule of the catalogue.

    Attributes:
        name: in capitals, unique in a catalogue.
        version: raised when the meaning changes; part of an anomaly's identity.
        key: the field by which events are grouped.
        events: the kind of event looked at.
        when: thresholds by measure; all must hold.
        explain: text with measures in braces.
        place: file of the rule, for messages.
    """

    name: str
    version: int
    key: str
    events: str
    window: Window
    measures: Mapping[str, Measure]
    when: Mapping[str, Threshold]
    severity: Severity
    explain: str
    place: str

    @property
    def least_events(self) -> int:
        """Fewest events of one key in a window with which the rule can hold.

        A count or a distinct count is at most the number of events, so its lower threshold bounds
        that number from below. 1 where no threshold does.
        """
        least = 1
        for name, threshold in self.when.items():
            if isinstance(self.measures[name], Ratio) or threshold.operator not in (">=", ">"):
                continue
            whole = -int(-threshold.value // 1)
            least = max(least, whole + (threshold.operator == ">" and whole == threshold.value))
        return least
