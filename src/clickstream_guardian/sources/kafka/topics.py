"""The topics: one table of names, partitions, replication and retention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.sources.kafka.admin import admin_client

_DAY_MS = 86_400_000
_FOREVER = "-1"

ANOMALIES_TOPIC = "anomalies.v1"
LATE_TOPIC = "late.v1"
DEAD_LETTER_TOPIC = "dlq.v1"


@dataclass(frozen=True)
class Topic:
    """A topic.

    Attributes:
        name: its name, with the version of its contract.
        by_session: whether it is keyed by session and so has the common number of partitions
            (otherwise it has one).
        settings: its retention and the meaning of its record timestamps.
        meaning: what it carries.
    """

    name: str
    by_session: bool
    settings: Mapping[str, str] = field(hash=False)
    meaning: str


def _kept(days: int) -> dict[str, str]:
    """Kept for days of *arrival*: the broker stamps records, whatever their event time is, so a
    replay of 2014 is as young as its replay."""
    return {"retention.ms": str(days * _DAY_MS), "message.timestamp.type": "LogAppendTime"}


_DEAD_LETTERS = {
    "retention.ms": _FOREVER,
    "retention.bytes": str(1 << 30),
    "message.timestamp.type": "CreateTime",
}
_LANDING_CONTROL = {"retention.ms": _FOREVER, "retention.bytes": _FOREVER}

TOPICS: tuple[Topic, ...] = (
    Topic(CLICK.topic, True, _kept(7), "Clicks, Avro, keyed by session."),
    Topic(PURCHASE.topic, True, _kept(7), "Purchases, Avro, keyed by session."),
    Topic(ANOMALIES_TOPIC, True, _kept(30), "Anomalies as they are found and change."),
    Topic(LATE_TOPIC, True, _kept(7), "Events that came too late for detection."),
    Topic(DEAD_LETTER_TOPIC, False, _DEAD_LETTERS, "What could not become an event, as it came."),
    Topic("landing-clicks", False, _LANDING_CONTROL, "The Iceberg sink's own commit messages."),
    Topic("landing-purchases", False, _LANDING_CONTROL, "The Iceberg sink's own commit messages."),
    Topic("landing-rejected", False, _LANDING_CONTROL, "The Iceberg sink's own commit messages."),
)
"""Every topic of Guardian; nothing creates a topic by using it."""


def create_topics(servers: str, partitions: int) -> Mapping[str, str]:
    """Make what is missing and set retention anew; nothing is ever deleted.

    Args:
        servers: bootstrap servers.
        partitions: number for topics keyed by session.

    Returns:
        Topic name to ``created`` or ``present``.

    Raises:
        GuardianError: Kafka does not answer, or a topic has another number of partitions.
    """
    admin = admin_client(servers)
    present = partition_counts(admin)
    done = {}
    for topic in TOPICS:
        wanted = partitions if topic.by_session else 1
        if topic.name in present:
            _check(topic.name, present[topic.name], wanted)
            done[topic.name] = "present"
        else:
            done[topic.name] = "created"
            _create(admin, topic, wanted, min(3, _brokers(admin)))
    _set_retention(admin)
    return MappingProxyType(done)


def partition_counts(admin: AdminClient) -> dict[str, int]:
    """Topic name to number of partitions.

    Raises:
        GuardianError: Kafka does not answer.
    """
    try:
        found = admin.list_topics(timeout=10).topics
    except KafkaException as error:
        raise GuardianError(
            f"Kafka does not answer ({error.args[0].str()}); start it with `guardian stack up`."
        ) from error
    return {name: len(topic.partitions) for name, topic in found.items()}


def check_event_topics(servers: str) -> int:
    """That the event topics are there, with as many partitions each; how many.

    Raises:
        GuardianError: Kafka does not answer, or they are not so.
    """
    present = partition_counts(admin_client(servers))
    counts = {name: present.get(name, 0) for name in (CLICK.topic, PURCHASE.topic)}
    if len(set(counts.values())) != 1 or not all(counts.values()):
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise GuardianError(
            f"The event topics need the same number of partitions ({shown} at {servers}): "
            "make them with `guardian topics create`."
        )
    return counts[CLICK.topic]


def _brokers(admin: AdminClient) -> int:
    return len(admin.list_topics(timeout=10).brokers)


def _check(name: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise GuardianError(
            f"Topic {name} has {found} partitions, not {wanted}: keys would move between "
            "partitions; set GUARDIAN_TOPIC_PARTITIONS to what it has, or start a fresh stack."
        )


def _create(admin: AdminClient, topic: Topic, partitions: int, replicas: int) -> None:
    new = NewTopic(topic.name, partitions, replicas, config=dict(topic.settings))
    try:
        admin.create_topics([new], operation_timeout=15)[topic.name].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise GuardianError(
                f"Topic {topic.name} could not be created: {error.args[0].str()}"
            ) from error


def _set_retention(admin: AdminClient) -> None:
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            topic.name,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in topic.settings.items()
            ],
        )
        for topic in TOPICS
    ]
    for change in admin.incremental_alter_configs(resources).values():
        change.result()
