"""Detection: batches go through the detector; findings and progress are saved together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from clickstream_guardian.detector.advance import Arrival, advance
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
_NO_EVENTS = pl.DataFrame(
    schema={
        "session_id": pl.String,
        "occurred_at": pl.Datetime("us", "UTC"),
        "item_id": pl.String,
        "event_id": pl.UInt128,
        "offset": pl.Int64,
    }
)


class Detection:
    """One group of files under detection, from its checkpoint on.

    Anomalies and checkpoint are saved in one transaction, so after a crash the group goes on where
    its last save stands, and says again only what it has said before.
    """

    def __init__(self, store: Store, config: DetectorConfig, files: Sequence[FileSource]) -> None:
        self.store = store
        self.config = config
        self.group = group_name(files)
        self.fingerprint = rules_fingerprint(config.rules)
        self.counts: Counter[str] = Counter()
        with store.begin() as connection:
            checkpoint = load_checkpoint(connection, self.group)
        self.generation = checkpoint.generation if checkpoint else 0
        self.state = self._resumed(checkpoint, files)
        self._declare(files)

    def position(self, file: FileSource) -> int:
        """The first offset of a file that detection has to read."""
        return self.state.partitions[_key(file)].next_offset

    def late_count(self, file: FileSource) -> int:
        """Events of a file found late so far."""
        return self.state.partitions[_key(file)].late_count

    def feed(self, batch: Batch) -> tuple[Anomaly, ...]:
        """Judge a batch and save what follows; what detection has seen already is dropped."""
        promised = NEVER if batch.promised_us is None else batch.promised_us
        arrivals = [self._arrival(part, promised) for part in batch.parts]
        step = advance(self.config, self.state, arrivals)
        self.state = step.state
        self._save(step.anomalies)
        return step.anomalies

    def _arrival(self, part: Part, promised_us: int) -> Arrival:
        key = _key(part.file)
        start = self.state.partitions[key].next_offset
        events = part.events if len(part.events) else _NO_EVENTS
        if len(events) and int(events["offset"][0]) < start:
            events = events.filter(pl.col("offset") >= start)
        return Arrival(
            key,
            part.file.kind.name,
            events,
            max(start, part.next_offset),
            promised_us=promised_us,
            ended=part.ended,
        )

    def _declare(self, files: Sequence[FileSource]) -> None:
        """Make every partition known, so that none is shut out by the others' watermark."""
        new = [file for file in files if _key(file) not in self.state.partitions]
        arrivals = [Arrival(_key(f), f.kind.name, _NO_EVENTS, f.events_from) for f in new]
        self.state = advance(self.config, self.state, arrivals).state

    def _resumed(self, checkpoint: Checkpoint | None, files: Sequence[FileSource]) -> BucketState:
        if checkpoint is None:
            return BucketState()
        if checkpoint.rules_fingerprint != self.fingerprint:
            raise UsageError(
                "The rules have changed since this replay was interrupted, and its windows are "
                "half judged by the old ones: go on with those, or replay into a new GUARDIAN_HOME."
            )
        if checkpoint.lateness_us != self.config.lateness_us:
            raise UsageError(
                f"GUARDIAN_ALLOWED_LATENESS_SECONDS={self.config.lateness_us / 1e6:g} is not what "
                f"this replay was begun with ({checkpoint.lateness_us / 1e6:g}): set it back."
            )
        kinds = {_key(file): file.kind for file in files}
        points = {
            PartitionKey(p.source, p.partition): self._point(p, kinds) for p in checkpoint.positions
        }
        return BucketState.resumed(points, _to_micros(checkpoint.closed_until))

    def _point(self, saved: Position, kinds: Mapping[PartitionKey, EventKind]) -> PartitionState:
        kind = kinds[PartitionKey(saved.source, saved.partition)]
        return PartitionState(
            next_offset=saved.resume_offset,
            newest_us=NEVER if saved.resume_max_at is None else micros(saved.resume_max_at),
            late_count=saved.resume_late_count,
            ended=saved.ended and saved.resume_offset == saved.next_offset,
            concerned=kind.name in {rule.events for rule in self.config.rules},
        )

    def _save(self, anomalies: Sequence[Anomaly]) -> None:
        points = self.state.resume_points()
        checkpoint = Checkpoint(
            group_name=self.group,
            rules_fingerprint=self.fingerprint,
            lateness_us=self.config.lateness_us,
            closed_until=_to_instant(self.state.settled_us),
            generation=self.generation,
            positions=tuple(
                _position(key, now, points.get(key, PartitionState()))
                for key, now in sorted(self.state.partitions.items())
            ),
        )
        with self.store.begin() as connection:
            upsert_anomalies(connection, anomalies)
            withdraw_forgotten(connection, _to_instant(self.state.settled_us))
            self.generation = save_checkpoint(connection, checkpoint, self.generation)


def group_name(files: Sequence[FileSource]) -> str:
    """A group is named by the files it judges together and the order they are read in."""
    order = files[0].spool.index.order
    return f"replay:{digest(str(order), *sorted(file.source for file in files)).hex()[:16]}"


def rules_fingerprint(rules: Sequence[Rule]) -> str:
    """Tells whether two sets of rules mean the same; file names play no part."""
    return digest(*sorted(repr(replace(rule, place="")) for rule in rules)).hex()


def _key(file: FileSource) -> PartitionKey:
    return PartitionKey(file.source, 0)


def _position(key: PartitionKey, now: PartitionState, point: PartitionState) -> Position:
    return Position(
        source=key.source,
        partition=key.partition,
        next_offset=now.next_offset,
        resume_offset=point.next_offset,
        resume_max_at=_to_instant(point.newest_us),
        resume_late_count=point.late_count,
        ended=now.ended,
    )


def _to_instant(at_us: int) -> datetime | None:
    if at_us == NEVER:
        return None
    return _FOREVER if at_us == ALWAYS else instant(at_us)


def _to_micros(at: datetime | None) -> int:
    if at is None:
        return NEVER
    return ALWAYS if at >= _FOREVER else micros(at)
