"""What alerts speak of: concerns, what was told of them, notices, silences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from clickstream_guardian.rules.model import Severity


class AlertKey(NamedTuple):
    """What an alert is about: a detection rule and a session, or a condition and its subject."""

    rule: str
    key: str


class Source(StrEnum):
    """Where a concern comes from."""

    ANOMALY = "anomaly"
    LAG = "lag"
    FRESHNESS = "freshness"
    DEAD_LETTERS = "dead_letters"
    RECONCILIATION = "reconciliation"
    BATCH = "batch"
    SERVICE = "service"
    DATABASE_POOL = "database_pool"

    @property
    def lasts(self) -> bool:
        """Whether it tells of conditions, which end; a session's anomalies do not."""
        return self is not Source.ANOMALY


class State(StrEnum):
    """What a notice says of its concern."""

    NEW = "new"
    AGAIN = "again"
    OVER = "over"


@dataclass(frozen=True)
class Concern:
    """Something that is wrong now.

    Attributes:
        summary: one sentence for a person.
        count: how often so far; for a session its anomalies of the rule, else 1.
    """

    source: Source
    about: AlertKey
    severity: Severity
    summary: str
    count: int = 1


@dataclass(frozen=True)
class Told:
    """What was last told of a concern.

    Attributes:
        at: when that was.
        gone_since: from when on it was seen no more; None while it is there.
    """

    source: Source
    severity: Severity
    count: int
    at: datetime
    state: State
    gone_since: datetime | None = None


@dataclass(frozen=True)
class Notice:
    """What there is to tell.

    Attributes:
        added: how many more than when it was last told of.
        silenced: it is kept in the history and told to nobody.
    """

    concern: Concern
    state: State
    added: int
    silenced: bool = False


@dataclass(frozen=True)
class Silence:
    """Until when a rule is not to be told of, for one key or (None) for all."""

    rule: str
    key: str | None
    until: datetime

    def covers(self, about: AlertKey, now: datetime) -> bool:
        """Whether it applies to this alert now."""
        return self.rule == about.rule and self.key in (None, about.key) and now < self.until


@dataclass(frozen=True)
class Policy:
    """What is told, and how often.

    Attributes:
        least: concerns less severe are not told.
        cooldown: the least time between two notices of one rule and key.
        settling: a condition that comes and goes faster is one that lasts.
    """

    least: Severity = Severity.HIGH
    cooldown: timedelta = timedelta(minutes=15)
    settling: timedelta = timedelta(minutes=1)
