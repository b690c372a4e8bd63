"""What the detector remembers of one bucket between two calls.

The heart of it is the *log*: the events that may still lie in an unsettled window, as columns.
Everything else can be derived from it or is a few numbers per partition, so a state need not be
saved whole: a checkpoint says from which offsets the log must be read again (``resume_points``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from clickstream_guardian.detector.lateness import ALWAYS, NEVER
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.events.identity import digest
from clickstream_guardian.rules.model import Mode, Rule

Counts = npt.NDArray[np.int32]
LOG_SCHEMA: dict[str, pl.DataType] = {
    "session_id": pl.String(),
    "at": pl.Int64(),
    "item_id": pl.String(),
    "event_id": pl.UInt128(),
    "hash": pl.UInt64(),
}
"""Columns of the log: ``at`` is the event time in microseconds, ``hash`` one of the session."""


class PartitionKey(NamedTuple):
    """A partition of a source (a file, or a topic)."""

    source: str
    partition: int


@dataclass(frozen=True)
class PartitionState:
    """How far a partition has been read.

    Attributes:
        next_offset: offset of the next event to come.
        newest_us: greatest event time seen, or ``NEVER``.
        late_count: events found late so far.
        promised_us: the host's word that no event before this time is still to come.
        ended: nothing more will ever come.
        silent: at the end of what there is for now (an idle partition of a live log).
        quiet: silent for so long that windows close without it.
    """

    next_offset: int = 0
    newest_us: int = NEVER
    late_count: int = 0
    promised_us: int = NEVER
    ended: bool = False
    silent: bool = False
    quiet: bool = False

    def watermark(self, lateness_us: int) -> int:
        """Event time before which no event in time is still to come."""
        allowed = NEVER if self.newest_us == NEVER else self.newest_us - lateness_us
        return max(allowed, self.promised_us)


@dataclass(frozen=True)
class Chunk:
    """The events of one call that were in time, and where the partitions stood before that call."""

    events: pl.DataFrame
    newest_us: int
    before: Mapping[PartitionKey, PartitionState]

    @cached_property
    def oldest_us(self) -> int:
        """The least event time; there is one."""
        return int(self.events["at"].min())  # type: ignore[arg-type]

    @cached_property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """The session's hash of each event."""
        return self.events["hash"].to_numpy()


class Place(NamedTuple):
    """Where a fold belongs: a pane (its start), and the session if that one is big in it."""

    pane: int
    session_id: str | None


@dataclass(frozen=True)
class PaneFold:
    """Events of busy sessions in a pane.

    ``rows`` are distinct and sorted by (session_id, at, event_id); ``heads`` are each session's
    first ones, ``counts`` holds (session_id, pane, n), ``items`` the distinct (session_id, pane,
    item_id). ``pending`` has come since.
    """

    rows: pl.DataFrame
    heads: pl.DataFrame
    counts: pl.DataFrame
    items: pl.DataFrame
    pending: tuple[pl.DataFrame, ...] = ()

    @property
    def pending_count(self) -> int:
        """How many rows wait to be folded."""
        return sum(len(frame) for frame in self.pending)


@dataclass(frozen=True)
class Tally:
    """Events per slot of a session-hash table: an upper bound of any one session's events.

    Only sessions whose slot holds enough events for some rule are looked at closely. The bound is
    never below the truth, so the result is exact; a shared slot costs time, nothing else.
    """

    counts: Counts
    busy: npt.NDArray[np.bool_]

    @property
    def mask(self) -> np.uint64:
        """Turns a hash into a slot."""
        return np.uint64(len(self.counts) - 1)

    def slots(self, chunk: Chunk) -> npt.NDArray[np.int64]:
        """The slot of each event of a chunk."""
        return (chunk.hashes & self.mask).astype(np.int64)

    @staticmethod
    def empty(size: int) -> Tally:
        """A table of ``size`` (a power of two) slots."""
        return Tally(np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.bool_))


@dataclass(frozen=True)
class BucketState:
    """Everything remembered of a bucket.

    Attributes:
        settled_us: windows that end at or before it are settled: no event can change them.
        closed_us: windows that end at or before it have been reported as final.
        reported: what was last said of each unsettled window, by anomaly_id.
        whole: the log of the rules that are judged at close.
    """

    partitions: Mapping[PartitionKey, PartitionState] = field(default_factory=dict)
    settled_us: int = NEVER
    closed_us: int = NEVER
    log: tuple[Chunk, ...] = ()
    tally: Tally = field(default_factory=lambda: Tally.empty(1 << 12))
    folds: Mapping[Place, PaneFold] = field(default_factory=dict)
    reported: Mapping[str, Anomaly] = field(default_factory=dict)
    whole: tuple[Chunk, ...] = ()

    @property
    def log_size(self) -> int:
        """Events that are remembered; those of the longer log hold those of the other."""
        return max(sum(len(chunk.events) for chunk in log) for log in (self.log, self.whole))

    def resume_points(self) -> Mapping[PartitionKey, PartitionState]:
        """Where each partition must be read from to make this state anew.

        Together with ``settled_us`` they are a checkpoint: a fresh state made by ``resumed`` and
        fed from there reports every unsettled window just as this one would.
        """
        points = [log[0].before for log in (self.log, self.whole) if log]
        return min(points, key=_progress) if points else self.partitions

    @staticmethod
    def resumed(points: Mapping[PartitionKey, PartitionState], settled_us: int) -> BucketState:
        """The state to go on with from a checkpoint."""
        return BucketState(partitions=dict(points), settled_us=settled_us, closed_us=settled_us)

    def watermark(self, lateness_us: int, idle_us: int | None) -> int:
        """The least watermark over the partitions.

        Args:
            lateness_us: the allowed lateness.
            idle_us: leave out quiet partitions, and silent ones that are more than this behind
                the newest; None leaves out none (what can still change a window, rather than what
                is waited for).
        """
        known = self.partitions.values()
        open_ones = [p for p in known if not (p.ended or (p.quiet and idle_us is not None))]
        if not open_ones:
            return ALWAYS if known else NEVER
        marks = [(p.watermark(lateness_us), p.silent) for p in open_ones]
        newest = max(mark for mark, _ in marks)
        behind = NEVER if idle_us is None or newest == NEVER else newest - idle_us
        return min(mark for mark, silent in marks if not (silent and mark < behind))


def _progress(partitions: Mapping[PartitionKey, PartitionState]) -> int:
    """Tells which of two moments of one bucket is the earlier."""
    return sum(partition.next_offset for partition in partitions.values())


@dataclass(frozen=True)
class DetectorConfig:
    """The rules and the few numbers a detector works by.

    A detector judges one kind of event. A host has one for each kind, with the rules ``of`` it:
    what holds windows of clicks open is clicks alone.

    Attributes:
        idle_us: event time after which a partition read to its end no longer holds windows open.
        sample_size: events kept as evidence.
    """

    rules: tuple[Rule, ...]
    lateness_us: int = 10_000_000
    idle_us: int = 300_000_000
    sample_size: int = 100

    def of(self, kind: str) -> DetectorConfig:
        """The same numbers with the rules on one kind of event; there may be none."""
        return replace(self, rules=tuple(rule for rule in self.rules if rule.events == kind))

    @cached_property
    def shadow_rules(self) -> frozenset[str]:
        """Names of the rules that count towards no verdict."""
        return frozenset(rule.name for rule in self.rules if rule.mode is Mode.SHADOW)

    @cached_property
    def rules_fingerprint(self) -> str:
        """Tells whether two sets of rules mean the same; file names play no part."""
        return digest(*sorted(repr(replace(rule, place="")) for rule in self.rules)).hex()

    @cached_property
    def running(self) -> tuple[Rule, ...]:
        """The rules whose windows are judged all along."""
        return tuple(rule for rule in self.rules if not rule.at_close)

    @cached_property
    def at_close(self) -> tuple[Rule, ...]:
        """The rules whose windows are judged when they close."""
        return tuple(rule for rule in self.rules if rule.at_close)

    @property
    def pane_us(self) -> int:
        """The common pane: every window of every running rule is a whole number of panes."""
        return int(np.gcd.reduce([rule.window.every_us for rule in self.running]))

    @property
    def longest_us(self) -> int:
        """The longest window of any rule."""
        return max((rule.window.size_us for rule in self.rules), default=0)

    @property
    def longest_running_us(self) -> int:
        """The longest window of a running rule."""
        return max((rule.window.size_us for rule in self.running), default=0)

    @property
    def longest_at_close_us(self) -> int:
        """The longest window that is judged at close."""
        return max((rule.window.size_us for rule in self.at_close), default=0)

    @property
    def head_size(self) -> int:
        """Events of a session and pane among which evidence is looked for first."""
        return max([self.sample_size, *(4 * rule.least_events for rule in self.running)])

    @property
    def busy_from(self) -> int:
        """Fewest events with which a session can meet any running rule."""
        return min((rule.least_events for rule in self.running), default=1)

    @property
    def slot_load(self) -> int:
        """Events per slot of the tally at the most.

        A tenth of what makes a session busy: fewer than one slot in a million holds ten such
        shares by chance. With four tenths one in a hundred did, and a step took twice as long.
        """
        return max(1, self.busy_from // 10)
