"""What runs can be scraped and is found; what was killed stays on the list, what ended does not."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from clickstream_guardian.telemetry.process import process_registry, served_metrics

HOST = "127.0.0.1"
JOB = "guardian_detect"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])


def test_prometheus_finds_a_process_while_it_runs(tmp_path: Path) -> None:
    port, targets = free_port(), tmp_path / "metrics"
    with served_metrics(process_registry(), HOST, port, targets, JOB) as address:
        [file] = targets.iterdir()
        found = json.loads(file.read_text())
        assert found == [{"targets": [f"{HOST}:{port}"], "labels": {"job": JOB}}]
        with urlopen(address, timeout=60) as answer:
            assert b"guardian_build" in answer.read()
    assert list(targets.iterdir()) == []


def test_a_process_that_fails_stays_on_the_list_and_one_that_is_interrupted_does_not(
    tmp_path: Path,
) -> None:
    for error, left in ((RuntimeError, 1), (KeyboardInterrupt, 0)):
        with (
            pytest.raises(error),
            served_metrics(process_registry(), HOST, free_port(), tmp_path / str(left), JOB),
        ):
            raise error
        assert len(list((tmp_path / str(left)).iterdir())) == left


def test_the_next_start_takes_the_place_of_the_one_that_was_killed(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / f"{JOB}-{port}.json"
    file.write_text("left by the dead")
    with served_metrics(process_registry(), HOST, port, tmp_path, JOB):
        assert json.loads(file.read_text())[0]["labels"] == {"job": JOB}
    assert not file.exists()


def test_a_port_chosen_freely_is_told_to_nobody(tmp_path: Path) -> None:
    with served_metrics(process_registry(), HOST, 0, tmp_path, JOB) as address:
        assert not address.endswith(":0/metrics")
        assert list(tmp_path.iterdir()) == []
