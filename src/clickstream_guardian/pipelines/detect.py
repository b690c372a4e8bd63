"""Detection on files: batches go through the detectors; findings and progress are saved."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from clickstream_guardian.detector.advance import Arrival
from clickstream_guardian.detector.lateness import NEVER
from clickstream_guardian.detector.state import DetectorConfig, PartitionKey
from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.events.identity import digest
from clickstream_guardian.pipelines.judge import (
    NO_EVENTS,
    Judge,
    Judged,
    read_checkpoints,
    save_findings,
)
from clickstream_guardian.sources.replay import Batch, FileSource, Part
from clickstream_guardian.store import Checkpoint, Store, load_checkpoint


class Detection:
    """One group of files under detection, from its checkpoints on."""

    def __init__(self, store: Store, config: DetectorConfig, files: Sequence[FileSource]) -> None:
        self.store = store
        self._shadow = config.shadow_rules
        group = group_name(files)
        with store.begin() as connection:
            checkpoints = read_checkpoints(group, lambda name: load_checkpoint(connection, name))
        for kind in EVENT_KINDS:
            if kind.name in checkpoints:
                _refuse_other_rules(checkpoints[kind.name], config.of(kind.name))
        self.judge = Judge(config, group, checkpoints)
        self.judge.declare({_key(file): (file.kind, file.events_from) for file in files})

    @property
    def is_new(self) -> bool:
        """Whether nothing of the files was judged before."""
        return self.judge.is_new

    def position(self, file: FileSource) -> int:
        """The first offset of a file that detection has to read."""
        return self.judge.partitions[_key(file)].next_offset

    def late_count(self, file: FileSource) -> int:
        """Events of a file found late so far."""
        return self.judge.partitions[_key(file)].late_count

    def feed(self, batch: Batch) -> Judged:
        """Judge a batch; what detection has seen already is dropped."""
        promised = NEVER if batch.promised_us is None else batch.promised_us
        return self.judge.step([self._arrival(part, promised) for part in batch.parts])

    def save(self, judged: Judged) -> None:
        """Save what a step found; steps are saved in their order, perhaps after later ones."""
        with self.store.begin() as connection:
            save_findings(connection, self.judge.findings(judged), self._shadow)
        self.judge.saved(judged)

    def _arrival(self, part: Part, promised_us: int) -> Arrival:
        start = self.position(part.file)
        events = part.events if len(part.events) else NO_EVENTS
        if len(events) and int(events["offset"][0]) < start:
            events = events.filter(pl.col("offset") >= start)
        return Arrival(
            _key(part.file),
            events,
            max(start, part.next_offset),
            promised_us=promised_us,
            ended=part.ended,
        )


def _refuse_other_rules(checkpoint: Checkpoint, config: DetectorConfig) -> None:
    """A replay ends with the rules it was begun with."""
    if checkpoint.rules_fingerprint != config.rules_fingerprint:
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


def _key(file: FileSource) -> PartitionKey:
    return PartitionKey(file.source, 0)
