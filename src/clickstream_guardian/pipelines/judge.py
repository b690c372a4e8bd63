"""Judging a bucket: a detector for each kind of event, each with a checkpoint of its own.

Clicks wait for no purchase and purchases for no click, so what holds the windows of one kind open
says nothing of the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import Connection

from clickstream_guardian.detector.advance import Arrival, Step, advance
from clickstream_guardian.detector.evaluate import instant, micros
from clickstream_guardian.detector.lateness import ALWAYS, NEVER
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import (
    BucketState,
    DetectorConfig,
    PartitionKey,
    PartitionState,
)
from clickstream_guardian.events.fields import CLICK, EVENT_KINDS, EventKind
from clickstream_guardian.store import (
    Checkpoint,
    Position,
    save_checkpoint,
    upsert_anomalies,
    withdraw_forgotten,
)

_FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
NO_EVENTS = pl.DataFrame(
    schema={
        "session_id": pl.String,
        "occurred_at": pl.Datetime("us", "UTC"),
        "item_id": pl.String,
        "event_id": pl.UInt128,
        "offset": pl.Int64,
    }
)
"""Columns of an arrival, without a row."""


def checkpoint_name(group: str, kind: EventKind) -> str:
    """The name of a group's checkpoint for a kind of event."""
    return group if kind is CLICK else f"{group}:{kind.name}"


def read_checkpoints(group: str, read: Callable[[str], Checkpoint | None]) -> dict[str, Checkpoint]:
    """A group's checkpoints by kind of event, as far as there are any."""
    found = {kind.name: read(checkpoint_name(group, kind)) for kind in EVENT_KINDS}
    return {kind: checkpoint for kind, checkpoint in found.items() if checkpoint is not None}


@dataclass(frozen=True)
class Stand:
    """Where a detector stands: what its checkpoint says.

    Attributes:
        settled_us: see ``BucketState``.
        partitions: how far each is judged.
        resume: see ``BucketState.resume_points``.
    """

    settled_us: int
    partitions: Mapping[PartitionKey, PartitionState]
    resume: Mapping[PartitionKey, PartitionState]

    @staticmethod
    def of(state: BucketState) -> Stand:
        """Where a detector with that state stands."""
        return Stand(state.settled_us, state.partitions, state.resume_points())

    def checkpoint(self, name: str, config: DetectorConfig) -> Checkpoint:
        """As the database holds it; its generation is not looked at."""
        return Checkpoint(
            group_name=name,
            rules_fingerprint=config.rules_fingerprint,
            lateness_us=config.lateness_us,
            closed_until=to_instant(self.settled_us),
            generation=0,
            positions=tuple(
                _position_of(key, now, self.resume.get(key, PartitionState()))
                for key, now in sorted(self.partitions.items())
            ),
            longest_us=config.longest_us,
        )


@dataclass(frozen=True)
class Finding:
    """What a detector has to save.

    Attributes:
        name: of its checkpoint.
        config: the rules on its kind of event.
        anomalies: those that are new or have changed.
        stand: where it stands.
        withdrawn_us: until when its forgotten previews were withdrawn; None if that is not known.
        generation: of the checkpoint to replace; 0 before the first.
    """

    name: str
    config: DetectorConfig
    anomalies: tuple[Anomaly, ...]
    stand: Stand
    withdrawn_us: int | None
    generation: int


def save_findings(
    connection: Connection, findings: Sequence[Finding], shadow: frozenset[str]
) -> None:
    """Save what detectors found and where they stand, in the caller's transaction.

    Anomalies before the first checkpoint: their writers wait for each other, and must not hold a
    checkpoint meanwhile that the other wants to replace.

    Args:
        connection: where.
        findings: of any number of detectors.
        shadow: names of rules that count towards no verdict.

    Raises:
        CheckpointConflictError: another process detects for one of the groups.
    """
    upsert_anomalies(connection, {one.name: one.anomalies for one in findings}, shadow)
    closing = [one for one in findings if one.stand.settled_us != one.withdrawn_us]
    settled = {one.name: to_instant(one.stand.settled_us) for one in closing}
    withdraw_forgotten(connection, settled, shadow)
    for one in findings:
        save_checkpoint(connection, one.stand.checkpoint(one.name, one.config), one.generation)


@dataclass(frozen=True)
class Judged:
    """What steps of the detectors made of arrivals, by kind of event."""

    steps: Mapping[str, Step]

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """Those that are new or have changed."""
        return tuple(chain.from_iterable(step.anomalies for step in self.steps.values()))

    @property
    def late(self) -> Mapping[PartitionKey, npt.NDArray[np.bool_]]:
        """Which of an arrival's events are late, for the partitions that had any."""
        return dict(chain.from_iterable(step.late.items() for step in self.steps.values()))


class Judge:
    """The detectors of partitions that are judged together, and their checkpoints.

    Anomalies and checkpoints are saved in one transaction, so after a crash detection goes on where
    its last save stands, and says again only what it has said before.

    Args:
        config: the rules on every kind, and numbers.
        group: names the checkpoints.
        checkpoints: by kind of event; a kind without one begins anew.
    """

    def __init__(
        self, config: DetectorConfig, group: str, checkpoints: Mapping[str, Checkpoint]
    ) -> None:
        self._detectors = {
            kind.name: _Detector(
                checkpoint_name(group, kind), config.of(kind.name), checkpoints.get(kind.name)
            )
            for kind in EVENT_KINDS
        }
        self._kinds: dict[PartitionKey, str] = {}

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever saved."""
        return all(one.generation == 0 for one in self._detectors.values())

    @property
    def partitions(self) -> dict[PartitionKey, PartitionState]:
        """How far each partition is judged."""
        of_each = (one.state.partitions.items() for one in self._detectors.values())
        return dict(chain.from_iterable(of_each))

    @property
    def log_size(self) -> int:
        """Events that are remembered."""
        return sum(one.state.log_size for one in self._detectors.values())

    @property
    def watermark_us(self) -> int:
        """The watermark of clicks; purchases are too few to tell how far a log is judged."""
        clicks = self._detectors[CLICK.name]
        return clicks.state.watermark(clicks.config.lateness_us, None)

    def judged_before(self, key: PartitionKey) -> int:
        """The offset of a partition before which an earlier process has judged."""
        return self._detectors[self._kinds[key]].judged_before.get(key, 0)

    def holds(self, checkpoint_name: str) -> bool:
        """Whether a checkpoint is one of this judge's."""
        return any(one.name == checkpoint_name for one in self._detectors.values())

    def take_over(self, claimed: Mapping[str, Checkpoint]) -> bool:
        """Go on under checkpoints that were claimed anew; False if another saved in between."""
        generations = {kind: one.generation + 1 for kind, one in self._detectors.items()}
        if {kind: one.generation for kind, one in claimed.items()} != generations:
            return False
        for kind, generation in generations.items():
            self._detectors[kind].generation = generation
        return True

    def declare(self, partitions: Mapping[PartitionKey, tuple[EventKind, int]]) -> None:
        """Make every partition known, so that none is shut out by the others' watermark.

        Args:
            partitions: of each, its kind of event, and where it begins if it is new.
        """
        self._kinds = {key: kind.name for key, (kind, _) in partitions.items()}
        for kind, one in self._detectors.items():
            one.forget_all_but({key for key, name in self._kinds.items() if name == kind})
        known = self.partitions
        self.step(
            [
                Arrival(key, NO_EVENTS, begin)
                for key, (_, begin) in partitions.items()
                if key not in known
            ]
        )

    def step(self, arrivals: Sequence[Arrival]) -> Judged:
        """Judge what has come; it is to be saved before the next step's result is."""
        by_kind: dict[str, list[Arrival]] = {}
        for arrival in arrivals:
            by_kind.setdefault(self._kinds[arrival.key], []).append(arrival)
        return Judged({kind: self._detectors[kind].step(mine) for kind, mine in by_kind.items()})

    def findings(self, judged: Judged | None = None) -> list[Finding]:
        """What is to be saved; ``saved`` tells that it is.

        Args:
            judged: of this step, perhaps after later ones were made; None tells where the detectors
                begin that were never saved.
        """
        return [one.finding(step) for one, step in self._steps(judged)]

    def saved(self, judged: Judged | None = None) -> None:
        """The findings of this step are saved."""
        for one, step in self._steps(judged):
            one.saved(step)

    def _steps(self, judged: Judged | None) -> list[tuple[_Detector, Step | None]]:
        if judged is None:
            return [(one, None) for one in self._detectors.values() if not one.generation]
        return [(self._detectors[kind], step) for kind, step in judged.steps.items()]


class _Detector:
    """The detector of one kind of event, with its checkpoint.

    Attributes:
        generation: of the checkpoint that the next save replaces; 0 before the first.
        state: what the detector remembers.
        judged_before: per partition, the offset before which an earlier process has judged.
    """

    def __init__(self, name: str, config: DetectorConfig, checkpoint: Checkpoint | None) -> None:
        self.name = name
        self.config = config
        self.generation = checkpoint.generation if checkpoint else 0
        self.state = BucketState()
        self.judged_before: Mapping[PartitionKey, int] = {}
        self._withdrawn_us: int | None = None
        if checkpoint is not None:
            points = {PartitionKey(p.source, p.partition): p for p in checkpoint.positions}
            self.judged_before = {key: saved.next_offset for key, saved in points.items()}
            self.state = BucketState.resumed(
                {key: point_of(saved) for key, saved in points.items()},
                to_micros(checkpoint.closed_until),
            )

    def forget_all_but(self, partitions: Container[PartitionKey]) -> None:
        """Partitions that are read no more hold no window open."""
        known = {key: one for key, one in self.state.partitions.items() if key in partitions}
        self.state = replace(self.state, partitions=known)

    def step(self, arrivals: Sequence[Arrival]) -> Step:
        step = advance(self.config, self.state, arrivals)
        self.state = step.state
        return step

    def finding(self, step: Step | None) -> Finding:
        anomalies, state = (step.anomalies, step.state) if step else ((), self.state)
        now = {key: self._furthest(key, one) for key, one in state.partitions.items()}
        stand = replace(Stand.of(state), partitions=now)
        return Finding(
            self.name, self.config, anomalies, stand, self._withdrawn_us, self.generation
        )

    def saved(self, step: Step | None) -> None:
        self.generation += 1
        self._withdrawn_us = (step.state if step else self.state).settled_us

    def _furthest(self, key: PartitionKey, now: PartitionState) -> PartitionState:
        """While what was judged before is read again, that is still how far it is judged."""
        return replace(now, next_offset=max(now.next_offset, self.judged_before.get(key, 0)))


def _position_of(key: PartitionKey, now: PartitionState, point: PartitionState) -> Position:
    """What a checkpoint holds of a partition: where it stands, and where to read it again."""
    return Position(
        source=key.source,
        partition=key.partition,
        next_offset=now.next_offset,
        resume_offset=point.next_offset,
        resume_max_at=to_instant(point.newest_us),
        resume_late_count=point.late_count,
        ended=now.ended,
    )


def point_of(saved: Position) -> PartitionState:
    """Where a partition is read again from, by its checkpoint."""
    return PartitionState(
        next_offset=saved.resume_offset,
        newest_us=to_micros(saved.resume_max_at),
        late_count=saved.resume_late_count,
        ended=saved.ended and saved.resume_offset == saved.next_offset,
    )


def to_instant(at_us: int) -> datetime | None:
    """A time of the detector as the database holds it: None for never, the year 9999 for always."""
    if at_us == NEVER:
        return None
    return _FOREVER if at_us == ALWAYS else instant(at_us)


def to_micros(at: datetime | None) -> int:
    """The inverse of ``to_instant``."""
    if at is None:
        return NEVER
    return ALWAYS if at >= _FOREVER else micros(at)
