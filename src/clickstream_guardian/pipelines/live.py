"""Live detection: the log in; anomalies out within a fraction of a second; any number of processes.

The story, over and over:

1. the group says which buckets are this process's; each is claimed, so that whoever had it before
   can save no more, and read from where its checkpoint says;
2. what comes next of each bucket is decoded and judged;
3. anomalies and late events are put on the log and acknowledged;
4. anomalies, checkpoints and progress are saved in one transaction.

3 and 4 are done behind 1 and 2 of what comes next, one step at a time, so what waits in memory is
bounded.

| killed or cut off between | what the next owner of the bucket does |
|---|---|
| 1 and 3 | reads the same again, finds the same |
| 3 and 4 | the same, and says on the log again what was said |
| 4 and 1 | goes on |

Where the database, the registry or Kafka is away, reading stops, and the same step is tried again
until it is saved. A bucket that was claimed by another process is let go, its step with it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import DetectorConfig, PartitionKey
from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.events.fields import EVENT_KINDS, KIND_OF_TOPIC, EventKind
from clickstream_guardian.pipelines.judge import Judge, read_checkpoints, save_findings
from clickstream_guardian.pipelines.live_bucket import Bucket, Found, LogView, Part
from clickstream_guardian.pipelines.rehearsal import rehearse
from clickstream_guardian.rules.model import Rule
from clickstream_guardian.sources.kafka.announce import Announcer
from clickstream_guardian.sources.kafka.columns import ColumnDecoder, Messages
from clickstream_guardian.sources.kafka.consumer import EventConsumer, Place
from clickstream_guardian.store import (
    Checkpoint,
    CheckpointConflictError,
    Store,
    claim_checkpoint,
)
from clickstream_guardian.store.snapshots import (
    BucketProgress,
    load_progress,
    save_progress,
)

T = TypeVar("T")

_READ_MESSAGES = 20_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
_AFTER_CONFLICT = 1.0
HEARTBEAT_SECONDS = 5.0


class Watcher(Protocol):
    """Who watches live detection: metrics, and a person's screen."""

    def owns(self, progress: Sequence[BucketProgress]) -> None:
        """The buckets of this process have changed; where they stand."""

    def saved(
        self, progress: Sequence[BucketProgress], anomalies: Sequence[Anomaly], seconds: float
    ) -> None:
        """A step is readable in the database, so long after its messages were read."""

    def waits(self, reason: str) -> None:
        """Something is away; detection goes on when it is back."""


@dataclass(frozen=True)
class LiveOptions:
    """How to detect.

    Attributes:
        group: name of the consumer group and, with the bucket, of the checkpoints.
        latest: begin at the log's end where there is no checkpoint, rather than at its beginning.
        silence_seconds: a partition without a message for so long holds no window open.
        read_seconds: for how long messages are gathered for a step; what came while the last was
            judged is taken at once.
        says_late: put late events on the log; of all who read an event, one is to say so.
    """

    group: str
    latest: bool = False
    silence_seconds: float = 30.0
    read_seconds: float = 0.05
    says_late: bool = True


@dataclass(frozen=True)
class _Saving:
    """A step on its way to the database, and when it was there."""

    found: Sequence[Found]
    done_at: Future[float]


class _RebalancedError(Exception):
    """The buckets were given anew while a step waited to be saved."""


class _StoppedError(Exception):
    """The process is to end while a step waits to be saved."""


def split_rules(rules: Sequence[Rule]) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """Rules that a bucket judges by itself, and those that need the sums of all buckets.

    The latter (rules with ``members``) are for a process that reads the whole log as one bucket:
    judged bucket by bucket they would miss crowds that are spread over several.
    """
    own = tuple(rule for rule in rules if rule.members is None)
    return own, tuple(rule for rule in rules if rule.members is not None)


class LiveDetection:
    """A process's part of live detection.

    Args:
        store: where anomalies and checkpoints are.
        config: rules and numbers.
        consumer: brings the messages.
        announcer: says on the log what was found.
        schema_by_id: asks the registry.
        options: how to detect.
        watcher: is told.
        stopping: whether the process is to end.
    """

    def __init__(
        self,
        store: Store,
        config: DetectorConfig,
        consumer: EventConsumer,
        announcer: Announcer,
        schema_by_id: Callable[[int], dict[str, object]],
        options: LiveOptions,
        watcher: Watcher,
        stopping: Callable[[], bool],
    ) -> None:
        self._store = store
        self._config = config
        self._consumer = consumer
        self._announcer = announcer
        self._decoders = {kind.topic: ColumnDecoder(kind, schema_by_id) for kind in EVENT_KINDS}
        self._options = options
        self._watcher = watcher
        self._stopping = stopping
        self._buckets: dict[int, Bucket] = {}
        self._held = False
        self._saver = ThreadPoolExecutor(1, "save")
        self._saving: _Saving | None = None
        self._saved_at = self._read_at = 0.0
        self._seen_rebalances = 0
        self._owner = f"{socket.gethostname()}:{os.getpid()}"

    def run(self) -> None:
        """Detect until told to stop; what was judged is saved then.

        Raises:
            UsageError: the checkpoints were made with rules that these cannot follow.
            GuardianError: the log no longer holds what is to be read next.
        """
        for decoder in self._decoders.values():  # loads what Arrow loads at its first use
            decoder.decode(Messages.of((), (), ()))
        self._patiently(lambda: rehearse(self._config, self._store))
        try:
            while not self._stopping():
                try:
                    self._turn()
                except _RebalancedError:
                    self._buckets.clear()
            self._settle()
        except (_StoppedError, _RebalancedError):
            pass
        finally:
            self._saver.shutdown()
            self._consumer.close()

    def _turn(self) -> None:
        """One round of the story."""
        if self._consumer.rebalances != self._seen_rebalances:
            self._settle()
            self._own()
        gathering = self._read_at + self._options.read_seconds - time.monotonic()
        messages = self._consumer.read(max(0.0, gathering), _READ_MESSAGES)
        started = self._read_at = time.monotonic()
        if self._consumer.rebalances != self._seen_rebalances:
            return
        decoded = self._patiently(lambda: self._decoded(messages))
        log = LogView(self._consumer.at_end, self._ends(), started, self._options.silence_seconds)
        found = [bucket.step(_of(bucket, decoded), log) for bucket in self._buckets.values()]
        due = [one for one in found if one is not None]
        if due or self._saving is None or self._saving.done_at.done():
            self._settle()
        if due := [one for one in due if self._buckets.get(one.bucket.number) is one.bucket]:
            self._saving = _Saving(due, self._saver.submit(self._save_once, due))
        elif self._saving is None and started - self._saved_at > HEARTBEAT_SECONDS:
            self._patiently(self._note_idleness)
        if self._held:
            self._start()

    # --- which buckets

    def _own(self) -> None:
        """Claim what the group has given to this process; read it from where its state stands."""
        self._seen_rebalances = self._consumer.rebalances
        given = self._consumer.buckets
        self._buckets = {n: bucket for n, bucket in self._buckets.items() if n in given}
        self._patiently(lambda: self._claim(given))
        self._watcher.owns([bucket.progress for bucket in self._buckets.values()])
        self._start()

    def _start(self) -> None:
        self._held = False
        self._consumer.start(
            {
                (key.source, key.partition): state.next_offset
                for bucket in self._buckets.values()
                for key, state in bucket.judge.partitions.items()
            }
        )

    def _claim(self, given: frozenset[int]) -> None:
        held = dict(self._buckets)
        for number in sorted(given):
            with self._store.begin() as connection:
                group = checkpoint_group(self._options.group, number)
                claimed = claim_checkpoints(connection, group, self._config)
                mine = held.get(number)
                if mine and mine.judge.take_over(claimed):
                    continue
                progress = load_progress(connection, self._options.group, number)
                bucket = self._made(number, Judge(self._config, group, claimed), progress)
                save_findings(connection, bucket.judge.findings(), self._config.shadow_rules)
            bucket.judge.saved()
            held[number] = bucket
        self._buckets = held

    def _made(self, number: int, judge: Judge, progress: BucketProgress) -> Bucket:
        places = {PartitionKey(*p): KIND_OF_TOPIC[p[0]] for p in self._consumer.places(number)}
        begins: dict[PartitionKey, tuple[EventKind, int]] = {}
        for key, kind in places.items():
            first, end = self._consumer.span((key.source, key.partition))
            begins[key] = (kind, end if self._options.latest else first)
        judge.declare(begins)
        now = time.monotonic()
        return Bucket(
            number,
            judge,
            replace(progress, owner=self._owner),
            dict.fromkeys(places, now),
        )

    # --- a step

    def _decoded(self, messages: Mapping[Place, Messages]) -> dict[Place, Part]:
        return {
            place: Part(given, self._decoders[place[0]].decode(given))
            for place, given in messages.items()
        }

    def _ends(self) -> dict[PartitionKey, int]:
        keys = [key for b in self._buckets.values() for key in b.judge.partitions]
        ends = {key: self._consumer.known_end((key.source, key.partition)) for key in keys}
        return {key: end for key, end in ends.items() if end is not None}

    # --- saving

    def _settle(self) -> None:
        """See the step that is being saved to its end; buckets another has claimed are let go."""
        saving, self._saving = self._saving, None
        if saving is None:
            return
        left, attempt = list(saving.found), saving.done_at.result
        while left:
            try:
                self._saved_at = self._patiently(attempt, partial(self._save_once, left))
            except CheckpointConflictError as conflict:
                left = self._let_go(conflict, left)
                attempt = partial(self._save_once, left)
                continue
            for one in left:
                one.saved(self._saved_at)
            self._watcher.saved(
                [one.progress for one in left],
                [anomaly for one in left for anomaly in one.anomalies],
                self._saved_at - left[0].started,
            )
            return

    def _save_once(self, found: Sequence[Found]) -> float:
        for one in found:
            self._announcer.anomalies(one.anomalies)
            if self._options.says_late:
                self._announcer.late(one.late)
        self._announcer.flush()
        findings = [part for one in found for part in one.bucket.judge.findings(one.judged)]
        with self._store.begin() as connection:
            save_findings(connection, findings, self._config.shadow_rules)
            for one in found:
                save_progress(connection, one.progress)
        return time.monotonic()

    def _note_idleness(self) -> None:
        """Tell that this process lives, and that nothing comes: the log says so, and is there."""
        if self._buckets:
            self._consumer.span(self._consumer.places(min(self._buckets))[0])
        now = time.monotonic()
        noted = [bucket.idle(now) for bucket in self._buckets.values()]
        with self._store.begin() as connection:
            for progress in noted:
                save_progress(connection, progress)
        self._saved_at = now
        self._watcher.saved(noted, (), 0.0)

    def _let_go(self, conflict: CheckpointConflictError, found: list[Found]) -> list[Found]:
        """Forget the bucket of a conflict; ask the group again who reads what."""
        (lost,) = [one for one in found if one.bucket.judge.holds(conflict.group_name)]
        self._watcher.waits(str(conflict))
        self._buckets.pop(lost.bucket.number, None)
        self._seen_rebalances = -1
        self._consumer.hold()
        self._consumer.wait(_AFTER_CONFLICT)
        return [one for one in found if one is not lost]

    def _patiently(self, act: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """Do it; where something is away, read nothing, and do it ``again`` until it is done."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return act()
            except (UsageError, CheckpointConflictError):
                raise
            except GuardianError as error:
                self._watcher.waits(str(error))
                self._consumer.hold()
                self._held = True
                self._wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                act = again or act

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stopping():
                raise _StoppedError
            self._consumer.wait(min(left, 0.2))
            if self._consumer.rebalances != self._seen_rebalances:
                raise _RebalancedError


def _of(bucket: Bucket, decoded: Mapping[Place, Part]) -> dict[PartitionKey, Part]:
    places = {key: (key.source, key.partition) for key in bucket.judge.partitions}
    return {key: decoded[place] for key, place in places.items() if place in decoded}


def checkpoint_group(group: str, bucket: int) -> str:
    """The name of a bucket's checkpoints, the same whatever engine detects."""
    return f"kafka:{group}:{bucket}"


def claim_checkpoints(
    connection: Connection, group: str, config: DetectorConfig
) -> dict[str, Checkpoint]:
    """A bucket's checkpoints by kind of event, claimed: who held them before can save no more.

    Raises:
        UsageError: they were made with rules that these cannot follow.
    """
    claimed = read_checkpoints(group, lambda name: claim_checkpoint(connection, name))
    for kind, checkpoint in claimed.items():
        _refuse_other_state(checkpoint, config.of(kind))
    return claimed


def _refuse_other_state(checkpoint: Checkpoint, config: DetectorConfig) -> None:
    """Changed rules are taken up where what is read again holds all their windows."""
    remedy = "set it back, or begin anew with another --group"
    if checkpoint.lateness_us != config.lateness_us:
        raise UsageError(
            f"GUARDIAN_ALLOWED_LATENESS_SECONDS={config.lateness_us / 1e6:g} is not what "
            f"{checkpoint.group_name} was begun with ({checkpoint.lateness_us / 1e6:g}): {remedy}."
        )
    if checkpoint.rules_fingerprint == config.rules_fingerprint:
        return
    if config.longest_us > checkpoint.longest_us:
        raise UsageError(
            f"The longest window of the rules is now {config.longest_us / 1e6:g} s, and "
            f"{checkpoint.group_name} holds {checkpoint.longest_us / 1e6:g} s of events: windows "
            f"that are open now would be judged on a part of theirs; {remedy}."
        )
