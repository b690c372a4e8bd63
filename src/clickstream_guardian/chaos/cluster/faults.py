"""The faults of the cluster: each is done at the beginning of a ``with`` and lifted at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial

import psycopg

from clickstream_guardian.chaos.cluster.detection import Detection
from clickstream_guardian.chaos.cluster.load import open_producer
from clickstream_guardian.chaos.cluster.observe import APPLICATION
from clickstream_guardian.chaos.cluster.servers import Servers
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.admin import admin_client
from clickstream_guardian.sources.kafka.producer import EventProducer
from clickstream_guardian.sources.kafka.registry import SUBJECTS, SchemaRegistry
from clickstream_guardian.stack.endpoints import cluster_database_url

_LOG = ("postgres", "kafka", "registry")
"""What detection needs."""
_LANDING = ("postgres", "s3", "kafka", "registry", "connect", "watch")
"""What landing in the lake needs besides."""
_CORRUPT_PAUSE_SECONDS = 0.02
_SLOTS_PAUSE_SECONDS = 0.1
_SLOTS_TAKERS = 4
_SLOTS_PATIENCE_SECONDS = 60.0
_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = %s AND application_name <> %s
"""


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
        crash: work must go on without what is broken, so recovery counts from the fault, which
            stays until then; else it counts from the fault's lifting.
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
def _server_down(name: str, ground: Ground) -> Iterator[None]:
    ground.servers.hold_down(name)
    try:
        yield
    finally:
        ground.servers.start(name)


def _broker_down(ground: Ground) -> AbstractContextManager[None]:
    return _server_down(leader(ground.settings), ground)


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


@contextmanager
def _executors_killed(ground: Ground) -> Iterator[None]:
    ground.servers.kill_family("spark-worker-1")
    yield


@contextmanager
def _registry_down(ground: Ground) -> Iterator[None]:
    with _server_down("registry", ground):
        ground.detection.kill()  # a running one knows the schemas; this one has to ask
        yield


@contextmanager
def _slots_taken(ground: Ground) -> Iterator[None]:
    """Every connection that the database allows, detection's own included."""
    taken: list[psycopg.Connection] = []
    stop = threading.Event()
    url = cluster_database_url(ground.settings)
    threads = [
        threading.Thread(target=_take_slots, args=(url, taken, stop), daemon=True)
        for _ in range(_SLOTS_TAKERS)
    ]
    victims = ground.detection.database.rpartition("/")[2], APPLICATION
    with psycopg.connect(url, autocommit=True) as control:
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + _SLOTS_PATIENCE_SECONDS
            while ground.servers.is_ready("postgres") or control.execute(_OTHERS, victims).rowcount:
                if time.monotonic() > deadline:
                    raise GuardianError("The connections were not exhausted; nothing was broken.")
                time.sleep(_SLOTS_PAUSE_SECONDS)
            yield
            if control.execute(_OTHERS, victims).rowcount:
                raise GuardianError("Detection had a connection all the same; nothing was broken.")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            for connection in taken:
                connection.close()


def _take_slots(url: str, taken: list[psycopg.Connection], stop: threading.Event) -> None:
    """Connect again and again, until told to stop."""
    while not stop.is_set():
        try:
            taken.append(psycopg.connect(url, connect_timeout=1))
        except psycopg.OperationalError:
            stop.wait(_SLOTS_PAUSE_SECONDS / 10)


@contextmanager
def _corrupted(ground: Ground) -> Iterator[None]:
    stop = threading.Event()
    kinds = _no_clicks(ground.settings)

    def run(producer: EventProducer) -> None:
        while not stop.wait(_CORRUPT_PAUSE_SECONDS):
            producer.send_bytes(CLICK.topic, kinds)
            ground.corrupted.extend(kinds)

    with open_producer(ground.settings) as producer:
        thread = threading.Thread(target=run, args=(producer,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _no_clicks(settings: Settings) -> list[bytes | None]:
    """Messages that are no clicks, each in its own way."""
    known = {e.subject: e.schema_id for e in SchemaRegistry(settings.registry_url).register_all()}
    framed = bytes([0]) + known[SUBJECTS[f"{PURCHASE.name}-event.avsc"]].to_bytes(4)
    unknown = bytes([0]) + (999_999).to_bytes(4)
    return [None, b"", b"garbage\xff", framed + b"\x02", unknown + b"abc"]


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
            3,
            "Spark worker killed",
            "A worker of Spark and its executor are killed, as for lack of memory; Spark detects.",
            _executors_killed,
            crash=True,
            groups=("postgres", "kafka", "registry", "spark"),
            options=("--engine", "spark"),
        ),
        ClusterScenario(
            4,
            "PostgreSQL pool exhausted",
            "Every connection is taken by others, and detection's own are closed.",
            _slots_taken,
            crash=False,
        ),
        ClusterScenario(
            5,
            "data corruption",
            "Among the clicks come empty messages, garbage, a wrong schema and an unknown one.",
            _corrupted,
            crash=True,
            groups=_LANDING,
        ),
        ClusterScenario(
            6,
            "S3 down",
            "The S3 server is killed and stays down for a while; the output is that of the lake.",
            partial(_server_down, "s3"),
            crash=False,
            groups=_LANDING,
            landing=True,
        ),
        ClusterScenario(
            7,
            "Schema Registry down",
            "The registry is killed, then detection, which has to start without it.",
            _registry_down,
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
