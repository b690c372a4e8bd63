"""The faults of the cluster: each is done at the beginning of a ``with`` and lifted at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from clickstream_guardian.chaos.cluster.detection import Detection
from clickstream_guardian.chaos.cluster.servers import Servers
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.admin import admin_client

_LOG = ("postgres", "kafka", "registry")
"""What detection needs."""


@dataclass(frozen=True)
class Ground:
    """What a fault is done to: a running stack, and the detection that is loaded.

    Attributes:
        corrupted: messages that a fault has put on the clicks' topic and that are no clicks.
    """

    settings: Settings
    servers: Servers
    detection: Detection
    corrupted: list[bytes | None] = field(default_factory=list)


Fault = Callable[[Ground], AbstractContextManager[None]]


@dataclass(frozen=True)
class ClusterScenario:
    """A failure on purpose on the cluster.

    Attributes:
        number: its number in the list of all scenarios.
        fault: does it, and lifts it.
        crash: work must go on without what is broken, so recovery counts from the fault; else it
            counts from the fault's lifting.
        groups: the stack's groups that it needs.
        options: of ``guardian detect``.
        landing: the output that must recover is that of the lake, not that of detection.
    """

    number: int
    name: str
    story: str
    fault: Fault
    crash: bool
    groups: tuple[str, ...] = _LOG
    options: tuple[str, ...] = ()
    landing: bool = False


def leader(settings: Settings) -> str:
    """The broker that leads the first partition of the clicks."""
    found = admin_client(settings.kafka_servers).list_topics(CLICK.topic, timeout=10)
    return f"kafka-{found.topics[CLICK.topic].partitions[0].leader}"


@contextmanager
def _broker_down(ground: Ground) -> Iterator[None]:
    name = leader(ground.settings)
    ground.servers.hold_down(name)
    try:
        yield
    finally:
        ground.servers.start(name)


@contextmanager
def _broker_hangs(ground: Ground) -> Iterator[None]:
    name = leader(ground.settings)
    ground.servers.freeze(name)
    try:
        yield
    finally:
        ground.servers.thaw(name)


@contextmanager
def _detection_stopped(ground: Ground) -> Iterator[None]:
    ground.detection.stop()
    try:
        yield
    finally:
        ground.detection.start()


CLUSTER_SCENARIOS: dict[int, ClusterScenario] = {
    one.number: one
    for one in (
        ClusterScenario(
            1,
            "Kafka broker down",
            "The broker that leads partition 0 of the clicks is killed and stays down for a while.",
            _broker_down,
            crash=True,
        ),
        ClusterScenario(
            2,
            "consumer lag spike",
            "Detection is stopped under load, and started again.",
            _detection_stopped,
            crash=False,
        ),
        ClusterScenario(
            10,
            "broker that hangs",
            "The broker that leads partition 0 of the clicks is stopped, not ended, for a while.",
            _broker_hangs,
            crash=True,
        ),
    )
}
