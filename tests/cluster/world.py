"""What the tests do to the running stack: send, wait, kill, look."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import numpy as np
import pyarrow as pa

from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.events.schemas import arrow_schema
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.admin import admin_client
from clickstream_guardian.sources.kafka.producer import EventProducer
from clickstream_guardian.sources.kafka.registry import SUBJECTS, SchemaRegistry
from clickstream_guardian.stack.endpoints import cluster_secrets, environment
from clickstream_guardian.stack.landing import TopicAudit, audit, landed_rows, open_cluster_lake
from clickstream_guardian.stack.lifecycle import stack_folder
from clickstream_guardian.stack.supervisor import Supervisor

SUBMIT = Path(sys.executable).with_name("spark-submit")
START_US = 1_396_864_269_277_000  # 2014-04-07T09:51:09.277Z


def made_clicks(count: int, seed: int) -> pa.Table:
    """Clicks with random ids, a few seconds of April 2014 apart."""
    random = np.random.default_rng(seed)
    sessions = random.integers(0, 1_000_000, count)
    columns = {
        "event_id": pa.array([random.bytes(16) for _ in range(count)], pa.binary(16)),
        "session_id": pa.array([f"s{number}" for number in sessions]),
        "occurred_at": pa.array(START_US + random.integers(0, 7_200_000_000, count)).cast(
            pa.timestamp("us", "UTC")
        ),
        "item_id": pa.array([str(number) for number in random.integers(0, 50_000, count)]),
    }
    schema = arrow_schema(CLICK)
    return pa.table(
        [columns.get(field.name, pa.nulls(count, field.type)) for field in schema], schema=schema
    )


@dataclass
class Traffic:
    """A producer at work: how much it has sent, and its longest wait for an acknowledgement."""

    producer: EventProducer
    sent: int = 0
    longest_stall: float = 0.0
    stalled_now: float = 0.0


class World:
    """The stack under test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.registry = SchemaRegistry(settings.registry_url)
        self.lake = open_cluster_lake(settings)
        self.supervisor = Supervisor(
            stack_folder(settings), cluster_secrets(settings).supervisor_password
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.lake.close()

    def producer(self, ids: dict[str, int] | None = None) -> EventProducer:
        if ids is None:
            known = {entry.subject: entry.schema_id for entry in self.registry.register_all()}
            ids = {
                kind.name: known[SUBJECTS[f"{kind.name}-event.avsc"]] for kind in (CLICK, PURCHASE)
            }
        return EventProducer(self.settings.kafka_servers, ids, 60)

    @contextmanager
    def traffic(self, per_second: int = 2000, kind: EventKind = CLICK):
        """Send at a steady rate from another thread while the block runs."""
        stop = threading.Event()
        errors: list[BaseException] = []
        state = Traffic(self.producer())
        batches = [made_clicks(per_second // 10, seed) for seed in range(50)]

        def run() -> None:
            try:
                while not stop.is_set():
                    state.producer.send(kind, batches[(state.sent * 10 // per_second) % 50])
                    state.sent += per_second // 10
                    stop.wait(0.1)
                state.producer.flush()
            except BaseException as error:
                errors.append(error)

        def look() -> None:
            before, since = -1, time.monotonic()
            while not stop.is_set():
                now, acknowledged = time.monotonic(), state.producer.acknowledged
                if acknowledged != before:
                    before, since = acknowledged, now
                state.stalled_now = now - since
                state.longest_stall = max(state.longest_stall, state.stalled_now)
                stop.wait(0.05)

        threads = [threading.Thread(target=run), threading.Thread(target=look)]
        for thread in threads:
            thread.start()
        try:
            yield state
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not errors, errors

    def pid(self, name: str) -> int:
        return next(state.pid for state in self.supervisor.states() if state.name == name)

    def kill(self, name: str) -> None:
        """SIGKILL a server; the supervisor will start it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    def stop(self, name: str) -> None:
        self.supervisor._rpc.stopProcess(f"{name}:{name}", True)

    def start(self, name: str) -> None:
        self.supervisor._rpc.startProcess(f"{name}:{name}", False)

    def leader(self, topic: str, partition: int = 0) -> str:
        """The name of the broker that leads a partition."""
        found = admin_client(self.settings.kafka_servers).list_topics(topic, timeout=10)
        return f"kafka-{found.topics[topic].partitions[partition].leader}"

    def landed(self, table: str = "clicks") -> int:
        """Rows of a table, by its newest snapshot."""
        return landed_rows(self.lake, table)[0]

    def audit(self) -> dict[str, TopicAudit]:
        return {row.topic: row for row in audit(self.settings, self.lake)}

    def wait_landed(self, seconds: float = 120) -> dict[str, TopicAudit]:
        """Wait until nothing of the log is missing from the lake, as long as more is landed."""
        found, least, since = self.audit(), -1, time.monotonic()
        while missing := sum(row.missing for row in found.values()):
            if missing != least:
                least, since = missing, time.monotonic()
            assert time.monotonic() - since < seconds, f"nothing more for {seconds} s: {found}"
            time.sleep(1)
            found = self.audit()
        return found

    def registry_answers(self) -> bool:
        try:
            return httpx.get(f"{self.settings.registry_url}/subjects", timeout=1).is_success
        except httpx.HTTPError:
            return False

    def connectors_run(self) -> bool:
        try:
            url = f"{self.settings.connect_url}/connectors?expand=status"
            found = httpx.get(url, timeout=2).json()
        except (httpx.HTTPError, ValueError):
            return False
        parts = [
            part["state"]
            for entry in found.values()
            for part in (entry["status"]["connector"], *entry["status"]["tasks"])
        ]
        return len(parts) == 6 and set(parts) == {"RUNNING"}


def submit_environment(world: World) -> dict[str, str]:
    """The stack's, for `spark-submit`, which looks for `python3` on the path."""
    path = f"{SUBMIT.parent}{os.pathsep}{os.environ['PATH']}"
    return environment(world.settings) | {"PATH": path}


def guardian(world: World, *arguments: str) -> str:
    """What a command prints that works on this stack; it must succeed."""
    done = subprocess.run(
        [Path(sys.executable).with_name("guardian"), *arguments],
        env=os.environ | environment(world.settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for(
    condition: Callable[[], bool],
    seconds: float,
    trouble: Callable[[], str] = lambda: "",
    every: float = 0.2,
) -> float:
    """Wait for a condition; the seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s; {trouble()}"
        time.sleep(every)
    return time.monotonic() - started
