"""A rule as the rest of the program sees it: frozen, complete, already checked."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property

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

    @property
    def label(self) -> str:
        """As it is written."""
        return self.name.lower()


class Mode(StrEnum):
    """What follows from an anomaly of the rule."""

    ENFORCE = "enforce"  # it counts towards the session's verdict
    SHADOW = "shadow"  # it is recorded and counts towards nothing


AT_CLOSE_US = 60_000_000
"""A window that starts this often or less is judged when it closes, a quicker one all along."""


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


@dataclass(frozen=True)
class Steps:
    """How many events have another item than the one before (``change``), or a greater (``up``).

    Events are taken in (occurred_at, event_id) order, items compared as text.
    """

    kind: str


@dataclass(frozen=True)
class Gap:
    """A quantile (nearest rank) of the pauses between neighbouring events, in seconds.

    A pause counts at least a microsecond, so that it may stand below a ratio's line.
    """

    quantile: float


@dataclass(frozen=True)
class MemberCount:
    """How many sessions are members of the key (see ``Rule.members``)."""


Measure = Count | Distinct | Ratio | Steps | Gap | MemberCount


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
class Condition:
    """Measures of one session in a window, and the thresholds they all have to meet."""

    measures: Mapping[str, Measure]
    when: Mapping[str, Threshold]


@dataclass(frozen=True)
class Rule:
    """One rule of the catalogue.

    Attributes:
        name: in capitals, unique in a catalogue.
        version: raised when the meaning changes; part of an anomaly's identity.
        key: by what events are grouped: ``session_id``; or ``item_id``, ``item_set`` (all items
            that a session looks at in the window) or ``site`` (everything), which need members.
        events: the kind of event looked at.
        when: thresholds by measure; all must hold.
        explain: text with measures in braces.
        place: file of the rule, for messages.
        members: which sessions of a key are blamed if the rule holds for it.
        mode: whether anomalies count towards verdicts.
        cooldown_us: for how long after an anomaly of a session the rule calls nobody again.
        about: what the rule is for and where it may err, in words.
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
    members: Condition | None = None
    mode: Mode = Mode.ENFORCE
    cooldown_us: int = 0
    about: str = ""

    @cached_property
    def thresholds(self) -> Mapping[str, str]:
        """The thresholds in words, by measure."""
        return {name: threshold.text for name, threshold in self.when.items()}

    @property
    def at_close(self) -> bool:
        """Whether a window is judged once, when it closes."""
        return self.window.every_us >= AT_CLOSE_US

    @property
    def least_events(self) -> int:
        """Fewest events of one key in a window with which the rule can hold.

        A count of any kind is at most the number of events, so its lower threshold bounds that
        number from below. 1 where no threshold does.
        """
        return least_events(self.measures, self.when)


def least_events(measures: Mapping[str, Measure], when: Mapping[str, Threshold]) -> int:
    """Fewest events with which all thresholds can be met."""
    least = 1
    for name, threshold in when.items():
        measure = measures[name]
        if isinstance(measure, Ratio | Gap) or threshold.operator not in (">=", ">"):
            continue
        whole = -int(-threshold.value // 1)
        least = max(least, whole + (threshold.operator == ">" and whole == threshold.value))
    return least
