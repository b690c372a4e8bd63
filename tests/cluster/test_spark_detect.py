"""Detection in Spark ends with the oracle's and the embedded engine's rows, whoever dies."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from pyarrow.fs import FileSelector

from clickstream_guardian.sources.kafka.topics import ANOMALIES_TOPIC, LATE_TOPIC
from clickstream_guardian.stack.endpoints import make_bucket, s3_login
from clickstream_guardian.stack.s3 import s3_files
from tests.cluster.detecting import (
    Detector,
    next_offsets,
    start_detector,
    start_process,
)
from tests.cluster.test_detect import CONFIG, Trial, progress, trial
from tests.cluster.topic import Sent, made_traffic
from tests.cluster.world import SUBMIT, World, submit_environment

__all__ = ["trial"]

DETECTOR = Path(__file__).parents[2] / "deploy" / "spark" / "anomaly_detector.py"


def start_spark(trial: Trial, *options: str, **environment: str) -> Detector:
    detector = start_detector(
        trial.folder,
        trial.group,
        trial.database,
        *("--engine", "spark", "--from", "latest", *options),
        **environment,
    )
    return until_it_detects(trial, detector)


def submit_spark(trial: Trial, world: World, *options: str) -> Detector:
    """As `spark-submit` starts it."""
    command = [SUBMIT, DETECTOR, "--group", trial.group, *options]
    settings = submit_environment(world) | {"DATABASE_URL": trial.database}
    return until_it_detects(trial, start_process(command, trial.folder, trial.database, **settings))


def until_it_detects(trial: Trial, detector: Detector) -> Detector:
    trial.running.append(detector)
    trial.wait(lambda: "detecting in partition 0, 1, 2, 3" in detector.said, 300)
    return detector


def test_spark_ends_with_the_rows_of_the_oracle_and_of_the_embedded_engine(
    trial: Trial, store
) -> None:
    embedded = replace(trial, group=f"{trial.group}-embedded")
    assert embedded.pin().stop() == 0
    detector = start_spark(trial, "--master", "local[2]")
    trial.send(made_traffic(seed=11))
    found = trial.check()
    assert detector.stop() == 0, detector.said
    with psycopg.connect(trial.database) as connection:
        connection.execute("DELETE FROM anomaly_sessions")
    embedded.start()
    assert embedded.check() == found
    read = trial.portion.read()
    noted = progress(trial, store)
    assert sum(one.messages for one in noted) == sum(
        trial.portion.ends()[place] - start for place, start in trial.portion.starts.items()
    )
    assert sum(sum(one.rejected_by_reason.values()) for one in noted) == read.rejected.total() > 0
    late = trial.portion.late(CONFIG)
    assert sum(one.late for one in noted) == late.total() > 50
    assert set(trial.on_topic(LATE_TOPIC)) == set(late)
    assert {a.anomaly_id for a in trial.expected()} <= set(trial.on_topic(ANOMALIES_TOPIC))


@pytest.mark.timeout(900)  # Spark starts three times
def test_an_executor_and_the_driver_killed_leave_the_same_rows(trial: Trial, world: World) -> None:
    on_s3 = ("--checkpoint", f"s3://{world.settings.s3_bucket}/spark/{trial.group}")
    make_bucket(world.settings)
    driver = start_spark(trial, *on_s3)
    first, second, third = parts(made_traffic(seed=12, sessions=200), 3)
    trial.send(first)
    trial.wait(lambda: next_offsets(trial.database, trial.group) == trial.portion.ends(), 200)
    trial.send(second[:500])
    kill_executor(world)
    trial.send(second[500:])
    trial.wait(lambda: next_offsets(trial.database, trial.group) == trial.portion.ends(), 200)
    assert driver.process.poll() is None, driver.said
    trial.send(third[:500])
    kill_family(driver)
    trial.send(third[500:])
    submitted = submit_spark(trial, world, *on_s3)
    trial.check()
    kill_family(submitted)
    files = s3_files(world.settings, s3_login(world.settings))
    kept = files.get_file_info(FileSelector(on_s3[1].removeprefix("s3://") + "/commits"))
    assert len(kept) > 3, kept


def parts(traffic: list[Sent], count: int) -> list[list[Sent]]:
    size = -(-len(traffic) // count)
    return [traffic[start : start + size] for start in range(0, len(traffic), size)]


def kill_executor(world: World) -> None:
    """kill -9 of one process that runs tasks for the stack's worker."""
    home = str(world.settings.home_path)
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any("CoarseGrainedExecutorBackend" in word for word in words) and any(
            home in word for word in words
        ):
            process.kill()
            return
    raise AssertionError("no executor of the stack's Spark was found")


def kill_family(detector: Detector) -> None:
    """kill -9 of the driver's two processes, Python and Java."""
    children = psutil.Process(detector.process.pid).children(recursive=True)
    for process in children:
        os.kill(process.pid, signal.SIGKILL)
    detector.kill()
