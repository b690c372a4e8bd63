"""Members of consumer groups that read whole buckets: the same partition of every topic, or all.

The ``range`` assignor gives a member the same partition numbers of every topic, as long as all
have the same number of partitions; that is what pairs a session's clicks with its purchases. The
group decides only who reads what. From where is the caller's knowledge, so nothing is committed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.sources.kafka.client import client_settings
from clickstream_guardian.sources.kafka.columns import Messages

Place = tuple[str, int]
"""A topic and one of its partitions."""

SESSION_SECONDS = 10
_EXPECTED = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
}
"""What passes by itself: a broker that restarts, a leader that moves."""


def consumer_settings(servers: str, group: str) -> dict[str, Any]:
    """librdkafka's settings: offsets are ours, memory is bounded, a dead member is out in 10 s."""
    return {
        **client_settings(servers),
        "group.id": group,
        "client.id": "guardian-detect",
        "partition.assignment.strategy": "range",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "session.timeout.ms": SESSION_SECONDS * 1000,
        "heartbeat.interval.ms": 2000,
        "fetch.wait.max.ms": 50,
        "fetch.min.bytes": 1,
        "queued.max.messages.kbytes": 65_536,
    }


class EventConsumer:
    """Reads the buckets that the group gives to this process.

    Args:
        servers: bootstrap servers.
        group: name of the consumer group.
        topics: topics with the same number of partitions, keyed alike.

    Attributes:
        buckets: partition numbers that are this process's at present; they change only within
            ``read`` and ``wait``.
        rebalances: how often they have been given anew.
        at_end: places that were read to their present end.
    """

    def __init__(self, servers: str, group: str, topics: Sequence[str]) -> None:
        self._topics = tuple(topics)
        self.buckets: frozenset[int] = frozenset()
        self.rebalances = 0
        self.at_end: set[Place] = set()
        self._broken: str | None = None
        self._consumer = Consumer(consumer_settings(servers, group))
        self._consumer.subscribe(
            list(topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def places(self, bucket: int) -> tuple[Place, ...]:
        """What a bucket consists of."""
        return tuple((topic, bucket) for topic in self._topics)

    def start(self, offsets: Mapping[Place, int]) -> None:
        """Read these places, from these offsets on, and no others."""
        self.at_end.clear()
        self._consumer.assign([TopicPartition(t, p, at) for (t, p), at in offsets.items()])

    def hold(self) -> None:
        """Read nothing until the next ``start``; this process stays a member."""
        self._consumer.assign([])

    def wait(self, seconds: float) -> None:
        """Stay a member of the group while nothing is read."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            message = self._consumer.poll(min(left, 0.1))
            if message is not None:
                self._note(message)
        self._check()

    def read(self, seconds: float, most: int) -> dict[Place, Messages]:
        """The next messages by place: what comes within the time, at most so many.

        Raises:
            GuardianError: the log no longer holds the offset to go on from, or refuses to be read.
        """
        values: dict[Place, list[bytes | None]] = defaultdict(list)
        offsets: dict[Place, list[int]] = defaultdict(list)
        stamps: dict[Place, list[int]] = defaultdict(list)
        message: Any  # the client's types allow for no topic and offset; a message has both
        for message in self._consumer.consume(most, seconds):
            place = (message.topic(), message.partition())
            if message.error() is not None:
                self._note(message)
                continue
            values[place].append(message.value())
            offsets[place].append(message.offset())
            stamps[place].append(message.timestamp()[1])
        self._check()
        self.at_end -= {place for place in values if not self._reached(place, offsets[place][-1])}
        return {p: Messages.of(values[p], offsets[p], stamps[p]) for p in values}

    def span(self, place: Place) -> tuple[int, int]:
        """The log's first offset of a place, and the one its next message will get.

        Raises:
            GuardianError: Kafka does not answer.
        """
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)
        except KafkaException as error:
            raise GuardianError(
                f"The offsets of {place[0]} cannot be read: {error.args[0].str()}"
            ) from error
        return low, high

    def known_end(self, place: Place) -> int | None:
        """The end of a place as the last fetch saw it; None before the first."""
        _, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
        return None if high in (OFFSET_INVALID, -1) else int(high)

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close()

    def _reached(self, place: Place, offset: int) -> bool:
        end = self.known_end(place)
        return end is not None and offset + 1 >= end

    def _on_assign(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        places = {(part.topic, part.partition) for part in given}
        self.buckets = frozenset(partition for _, partition in places)
        lacking = {(t, b) for t in self._topics for b in self.buckets} - places
        if lacking:
            self._broken = (
                f"The group gave this process partition {min(lacking)[1]} of some event topics and "
                f"not of {min(lacking)[0]}: all need the same number of partitions, and every "
                "member of the group the same version of Guardian."
            )
        self.rebalances += 1
        consumer.assign([])

    def _on_revoke(self, consumer: Consumer, _taken: list[TopicPartition]) -> None:
        self.buckets = frozenset()
        self.rebalances += 1
        self.at_end.clear()
        consumer.unassign()

    def _note(self, message: Message) -> None:
        """Take in what the client reports in place of a message."""
        error = message.error()
        if error is None or error.code() in _EXPECTED or error.retriable():
            return
        place = (message.topic(), message.partition())
        if error.code() == KafkaError._PARTITION_EOF:
            self.at_end.add((str(place[0]), int(place[1] or 0)))
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            self._broken = (
                f"{place[0]}, partition {place[1]}: the log no longer holds the messages to go on "
                f"from ({error.str()}), so some would never be judged; accept that by another "
                "--group, which begins anew."
            )
        else:
            self._broken = f"{place[0]} cannot be read: {error.str()}"

    def _check(self) -> None:
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise GuardianError(broken)


class WholeLogConsumer(EventConsumer):
    """A member of a consumer group of which one reads everything, as one bucket.

    That is whoever the group gives the first partition; the others stand by.

    Args:
        servers: bootstrap servers.
        group: name of the consumer group.
        topics: topics with the same number of partitions.
        partitions: how many.
    """

    def __init__(self, servers: str, group: str, topics: Sequence[str], partitions: int) -> None:
        self._partitions = partitions
        super().__init__(servers, group, topics)

    def places(self, bucket: int) -> tuple[Place, ...]:
        """All partitions of all topics are the only bucket."""
        return tuple((t, p) for t in self._topics for p in range(self._partitions) if bucket == 0)

    def _on_assign(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        super()._on_assign(consumer, given)
        self.buckets &= {0}
