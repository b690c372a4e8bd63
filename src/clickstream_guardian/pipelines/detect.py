"""Detection: what comes goes through the detector; findings and progress are saved together.

``Judge`` is that of any source. ``Detection`` feeds it with files, ``live`` with a log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

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
from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.events.identity import digest
from clickstream_guardian.rules.model import Rule
from clickstream_guardian.sources.replay import Batch, FileSource, Part
from clickstream_guardian.store import (
    Checkpoint,
    Position,
    Store,
    load_checkpoint,
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


class Judge:
    """The detector of partitions that are judged together, and its checkpoint.

    Anomalies and checkpoint are saved in one transaction, so after a crash detection goes on where
    its last save stands, and says again only what it has said before.

    Attributes:
        group: names the checkpoint.
        generation: of the checkpoint that the next save replaces; 0 before the first.
        state: what the detector remembers.
        judged_before: per partition, the offset before which an earlier process has judged.
    """

    def __init__(self, config: DetectorConfig, group: str, checkpoint: Checkpoint | None) -> None:
        self.config = config
        self.group = group
        self.fingerprint = rules_fingerprint(config.rules)
        self.generation = checkpoint.generation if checkpoint else 0
        self.state = BucketState()
        self.judged_before: Mapping[PartitionKey, int] = {}
        self._withdrawn_us: int | None = None
        self._saving_us: int | None = None
        if checkpoint is not None:
            points = {PartitionKey(p.source, p.partition): p for p in checkpoint.positions}
            self.judged_before = {key: saved.next_offset for key, saved in points.items()}
            self.state = BucketState.resumed(
                {key: point_of(saved) for key, saved in points.items()},
                to_micros(checkpoint.closed_until),
            )

    def declare(self, partitions: Mapping[PartitionKey, tuple[EventKind, int]]) -> None:
        """Make every partition known, so that none is shut out by the others' watermark.

        Args:
            partitions: of each, its kind of event, and where it begins if it is new.
        """
        concerned = {rule.events for rule in self.config.rules}
        known = {
            key: replace(state, concerned=partitions[key][0].name in concerned)
            for key, state in self.state.partitions.items()
        }
        self.state = replace(self.state, partitions=known)
        self.step(
            [
                Arrival(key, kind.name, NO_EVENTS, begin)
                for key, (kind, begin) in partitions.items()
                if key not in known
            ]
        )

    def step(self, arrivals: Sequence[Arrival]) -> Step:
        """Judge what has come; it is to be saved before the next step's result is."""
        step = advance(self.config, self.state, arrivals)
        self.state = step.state
        return step

    def save(
        self,
        connection: Connection,
        anomalies: Sequence[Anomaly],
        state: BucketState | None = None,
    ) -> None:
        """Save what was found, in the caller's transaction; ``saved`` tells that it holds.

        Args:
            connection: where.
            anomalies: what the steps since the last save found.
            state: the state after those steps, where later ones have been made already.

        Raises:
            CheckpointConflictError: another process detects for the group.
        """
        shadow = self.config.shadow_rules
        upsert_anomalies(connection, anomalies, self.group, shadow)
        state = state or self.state
        self._saving_us = state.settled_us
        if self._saving_us != self._withdrawn_us:
            withdraw_forgotten(connection, to_instant(self._saving_us), self.group, shadow)
        save_checkpoint(connection, self._checkpoint(state), self.generation)

    def saved(self) -> None:
        """The transaction of the last ``save`` was committed."""
        self.generation += 1
        self._withdrawn_us = self._saving_us

    def _checkpoint(self, state: BucketState) -> Checkpoint:
        points = state.resume_points()
        return Checkpoint(
            group_name=self.group,
            rules_fingerprint=self.fingerprint,
            lateness_us=self.config.lateness_us,
            closed_until=to_instant(state.settled_us),
            generation=self.generation,
            positions=tuple(
                position_of(key, self._furthest(key, now), points.get(key, PartitionState()))
                for key, now in sorted(state.partitions.items())
            ),
            longest_us=self.config.longest_us,
        )

    def _furthest(self, key: PartitionKey, now: PartitionState) -> PartitionState:
        """While what was judged before is read again, that is still how far it is judged."""
        return replace(now, next_offset=max(now.next_offset, self.judged_before.get(key, 0)))


class Detection:
    """One group of files under detection, from its checkpoint on."""

    def __init__(self, store: Store, config: DetectorConfig, files: Sequence[FileSource]) -> None:
        self.store = store
        group = group_name(files)
        with store.begin() as connection:
            checkpoint = load_checkpoint(connection, group)
        if checkpoint is not None:
            _refuse_other_rules(checkpoint, config)
        self.judge = Judge(config, group, checkpoint)
        self.judge.declare({_key(file): (file.kind, file.events_from) for file in files})

    @property
    def is_new(self) -> bool:
        """Whether nothing of the files was judged before."""
        return self.judge.generation == 0

    def position(self, file: FileSource) -> int:
        """The first offset of a file that detection has to read."""
        return self.judge.state.partitions[_key(file)].next_offset

    def late_count(self, file: FileSource) -> int:
        """Events of a file found late so far."""
        return self.judge.state.partitions[_key(file)].late_count

    def feed(self, batch: Batch) -> Step:
        """Judge a batch; what detection has seen already is dropped."""
        promised = NEVER if batch.promised_us is None else batch.promised_us
        return self.judge.step([self._arrival(part, promised) for part in batch.parts])

    def save(self, step: Step) -> None:
        """Save what a step found; steps are saved in their order, perhaps after later ones."""
        with self.store.begin() as connection:
            self.judge.save(connection, step.anomalies, step.state)
        self.judge.saved()

    def _arrival(self, part: Part, promised_us: int) -> Arrival:
        start = self.position(part.file)
        events = part.events if len(part.events) else NO_EVENTS
        if len(events) and int(events["offset"][0]) < start:
            events = events.filter(pl.col("offset") >= start)
        return Arrival(
            _key(part.file),
            part.file.kind.name,
            events,
            max(start, part.next_offset),
            promised_us=promised_us,
            ended=part.ended,
        )


def _refuse_other_rules(checkpoint: Checkpoint, config: DetectorConfig) -> None:
    """A replay ends with the rules it was begun with."""
    if checkpoint.rules_fingerprint != rules_fingerprint(config.rules):
        raise UsageError(
            "The rules have changed since this replay was interrupted, and its windows are "
            "half judged by the old ones: go on with those, or replay into a new GUARDIAN_HOME."
        )
    if checkpoint.lateness_us != config.lateness_us:
        raise UsageError(
            f"GUARDIAN_ALLOWED_LATENESS_SECONDS={config.lateness_us / 1e6:g} is not what "
            f"this replay was begun with ({checkpoint.lateness_us / 1e6:g}): set it back."
        )


def group_name(files: Sequence[FileSource]) -> str:
    """A group is named by the files it judges together and the order they are read in."""
    order = files[0].spool.index.order
    return f"replay:{digest(str(order), *sorted(file.source for file in files)).hex()[:16]}"


def rules_fingerprint(rules: Sequence[Rule]) -> str:
    """Tells whether two sets of rules mean the same; file names play no part."""
    return digest(*sorted(repr(replace(rule, place="")) for rule in rules)).hex()


def _key(file: FileSource) -> PartitionKey:
    return PartitionKey(file.source, 0)


def position_of(key: PartitionKey, now: PartitionState, point: PartitionState) -> Position:
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
