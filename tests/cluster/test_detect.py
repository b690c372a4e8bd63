"""Live detection on real brokers ends with the oracle's rows, whoever dies meanwhile."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from clickstream_guardian.detector.state import DetectorConfig
from clickstream_guardian.pipelines.live import split_rules
from clickstream_guardian.rules.loader import load_catalogue
from clickstream_guardian.sources.kafka.admin import offset_spans
from clickstream_guardian.sources.kafka.topics import ANOMALIES_TOPIC, LATE_TOPIC
from clickstream_guardian.store.snapshots import BucketProgress, list_progress
from tests.cluster.detecting import (
    Detector,
    next_offsets,
    rows,
    start_detector,
    statuses,
)
from tests.cluster.topic import Portion, Sent, made_crowds, made_traffic, send
from tests.cluster.world import World, wait_for
from tests.parity.oracle import OracleAnomaly

RULES, CROWD_RULES = split_rules(load_catalogue())
CONFIG = DetectorConfig(RULES)
CROWDS = DetectorConfig(CROWD_RULES)


@dataclass
class Trial:
    """A group of detectors over the portion of the log that begins now."""

    world: World
    folder: Path
    database: str
    group: str
    portion: Portion
    running: list[Detector] = field(default_factory=list)

    def start(self, *options: str, **environment: str) -> Detector:
        detector = start_detector(
            self.folder, self.group, self.database, "--from", "latest", *options, **environment
        )
        self.running.append(detector)
        return detector

    def pin(self) -> Detector:
        """Start the first detector, and wait until the group's beginning is stored."""
        detector = self.start()
        self.wait(lambda: len(next_offsets(self.database, self.group)) == 8)
        return detector

    def send(self, traffic: list[Sent]) -> None:
        send(self.world.settings, traffic)

    def wait(self, condition, seconds: float = 120) -> float:
        return wait_for(condition, seconds, lambda: "\n".join(d.said for d in self.running))

    def wait_judged(self, seconds: float = 120) -> None:
        """Wait until everything on the log is judged and every window is closed."""
        ends = self.portion.ends()
        self.wait(lambda: next_offsets(self.database, self.group) == ends, seconds)
        self.wait(lambda: statuses(self.database)["open"] == 0, seconds)

    def expected(self, config: DetectorConfig = CONFIG) -> list[OracleAnomaly]:
        found = self.portion.expected(config)
        assert len(found) > 50
        assert {one.rule for one in found} >= {"BOT_LIKE", "PURCHASE_BURST"} or config is CROWDS
        return [replace(a, measures=tuple(sorted(a.measures))) for a in found]

    def check(self, config: DetectorConfig = CONFIG) -> list[OracleAnomaly]:
        """Everything is judged, and the rows are the oracle's once silence has closed the last."""
        self.wait_judged()
        expected = self.expected(config)
        self.wait(lambda: rows(self.database) == expected)
        return expected

    def on_topic(self, topic: str) -> list[str]:
        """Keys of what lies on a topic since the trial began."""
        return read_keys(self.world, topic, self.tails[topic])

    tails: dict[str, dict[int, int]] = field(default_factory=dict)


@pytest.fixture
def trial(world: World, store_url: str, tmp_path: Path) -> Iterator[Trial]:
    group = f"t{time.monotonic_ns()}"
    database = store_url.replace("+psycopg", "")
    made = Trial(world, tmp_path, database, group, Portion(world.settings))
    made.tails = {topic: tails(world, topic) for topic in (ANOMALIES_TOPIC, LATE_TOPIC)}
    yield made
    for detector in made.running:
        if detector.process.poll() is None:
            detector.kill()


def tails(world: World, topic: str) -> dict[int, int]:
    return {s.partition: s.end for s in offset_spans(world.settings.kafka_servers, topic)}


def read_keys(world: World, topic: str, since: dict[int, int]) -> list[str]:
    ends = tails(world, topic)
    left = sum(ends[p] - since[p] for p in ends)
    reader = Consumer({"bootstrap.servers": world.settings.kafka_servers, "group.id": "keys"})
    reader.assign([TopicPartition(topic, p, at) for p, at in since.items()])
    keys: list[str] = []
    while len(keys) < left:
        keys += [m.key().decode() for m in reader.consume(left, 5) if m.error() is None]
    reader.close()
    return keys


def progress(trial: Trial, store) -> list[BucketProgress]:
    with store.begin() as connection:
        return [one for one, _ in list_progress(connection) if one.group == trial.group]


def test_one_process_ends_with_the_oracles_rows(trial: Trial, store) -> None:
    detector = trial.pin()
    trial.send(made_traffic(seed=1))
    trial.check()
    assert detector.stop() == 0, detector.said
    read = trial.portion.read()
    noted = progress(trial, store)
    counted: dict[str, int] = {}
    for one in noted:
        for reason, count in one.rejected_by_reason.items():
            counted[reason] = counted.get(reason, 0) + count
    assert counted == {str(reason): count for reason, count in read.rejected.items()}
    late = trial.portion.late(CONFIG)
    assert sum(one.late for one in noted) == late.total() > 50
    assert set(trial.on_topic(LATE_TOPIC)) == set(late)
    assert {a.anomaly_id for a in trial.expected()} <= set(trial.on_topic(ANOMALIES_TOPIC))


def test_processes_that_come_and_are_killed_end_with_the_same(trial: Trial) -> None:
    rng = random.Random(2)
    first = trial.pin()
    traffic = made_traffic(seed=2)
    third = len(traffic) // 3
    second = trial.start()
    trial.send(traffic[:third])
    time.sleep(rng.uniform(0, 2))
    first.kill()
    trial.send(traffic[third : 2 * third])
    trial.start()
    time.sleep(rng.uniform(0, 12))
    second.kill()
    trial.send(traffic[2 * third :])
    trial.check()


def test_a_zombie_writes_nothing_and_the_result_stands(trial: Trial) -> None:
    zombie = trial.pin()
    traffic = made_traffic(seed=3)
    half = len(traffic) // 2
    trial.send(traffic[:half])
    zombie.pause()
    trial.send(traffic[half:])
    heir = trial.start()
    trial.wait(lambda: "detecting in partition 0, 1, 2, 3" in heir.said)
    trial.wait_judged()
    zombie.resume()
    trial.wait(lambda: zombie.said.count("detecting in partition") > 1)
    trial.check()
    assert heir.stop() == 0
    assert zombie.stop() == 0


def test_crowds_are_judged_over_all_partitions_by_one_process_and_by_its_heir(trial: Trial) -> None:
    first = trial.start("--crowds")
    trial.wait(lambda: len(next_offsets(trial.database, f"{trial.group}-crowds")) == 8)
    second = trial.start("--crowds")
    trial.group += "-crowds"
    trial.wait(lambda: "waiting for partitions" in first.said + second.said)
    traffic = made_crowds(seed=5)
    trial.send(traffic[: len(traffic) // 2])
    leader = second if "waiting" in first.said else first
    leader.kill()
    trial.send(traffic[len(traffic) // 2 :])
    expected = trial.check(CROWDS)
    assert Counter(one.rule for one in expected).keys() == {rule.name for rule in CROWD_RULES}
    assert trial.on_topic(LATE_TOPIC) == []


def test_an_absent_database_is_waited_for(trial: Trial) -> None:
    detector = trial.pin()
    name = trial.database.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(admin(trial.database), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        trial.send(made_traffic(seed=4))
        trial.wait(lambda: "waiting: " in detector.said)
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    trial.check()


def admin(database: str) -> str:
    head, _, tail = database.rpartition("/")
    return f"{head}/template1" + ("?" + tail.partition("?")[2] if "?" in tail else "")


def test_rules_with_longer_windows_than_the_state_holds_are_refused(trial: Trial) -> None:
    folder = trial.folder / "rules"
    folder.mkdir()

    def start(window: str) -> Detector:
        (folder / "slow.yaml").write_text(
            f"rule: SLOW\nversion: 1\nkey: session_id\nevents: click\n"
            f"window: {{tumbling: {window}}}\nmeasures: {{clicks: count}}\n"
            "when: {clicks: '>= 50'}\nseverity: low\nexplain: '{clicks} clicks'\n"
        )
        return trial.start(GUARDIAN_RULES_DIR=str(folder))

    def taken(detector: Detector) -> None:
        trial.wait(lambda: "detecting in partition" in detector.said)
        assert detector.stop() == 0

    taken(start("30s"))
    refused = start("40s")
    assert refused.process.wait(60) == 2
    assert "longest window of the rules is now 40 s" in refused.said
    taken(start("20s"))
