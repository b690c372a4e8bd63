"""The connectors' files, and what Connect tells of them."""

from __future__ import annotations

import json
import re

import pytest

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.sources.kafka.topics import TOPICS
from clickstream_guardian.stack.connect import landing_environment
from clickstream_guardian.stack.connectors import Connect, _status, connector_files
from clickstream_guardian.stack.watch import _has_failed

FILES = connector_files()
RUNNING = {"state": "RUNNING"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_connector_names_only_what_exists(file) -> None:
    connector = json.loads(file.read_text())
    config = connector["config"]
    given = landing_environment(
        registry="", jdbc="", password="", s3="", keys=("", ""), bucket="", ms=1
    )
    assert set(re.findall(r"\$\{env:(\w+)\}", file.read_text())) <= given.keys()
    topics = {topic.name for topic in TOPICS}
    assert {config["topics"], config["iceberg.control.topic"]} <= topics
    assert connector["name"] == f"landing-{file.stem}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_connector_is_safe_by_its_settings(file) -> None:
    config = json.loads(file.read_text())["config"]
    assert config["tasks.max"] == "1"
    assert config["iceberg.kafka.auto.offset.reset"] == "earliest"
    evolves = config["iceberg.tables.evolve-schema-enabled"] == "true"
    assert evolves == config["topics"].startswith(("clicks", "purchases"))  # a newer field's column
    for name, value in config.items():
        if re.search("password|secret", name):
            assert value.startswith("${env:")


def test_only_the_landing_of_events_dead_letters() -> None:
    letters = {
        file.stem: json.loads(file.read_text())["config"].get("errors.deadletterqueue.topic.name")
        for file in FILES
    }
    assert letters == {"clicks": "dlq.v1", "purchases": "dlq.v1", "rejected": None}


def test_trouble_is_the_innermost_cause() -> None:
    trace = "org.A: outer\n\tat x\nCaused by: org.B: middle\nCaused by: org.C: inner\n\tat y"
    status = {"connector": RUNNING, "tasks": [{"state": "FAILED", "trace": trace}]}
    found = _status("c", status)
    assert found.trouble == "org.C: inner"
    assert not found.running


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        ({"connector": RUNNING, "tasks": [RUNNING]}, False),
        ({"connector": RUNNING, "tasks": []}, False),
        ({"connector": RUNNING, "tasks": [{"state": "FAILED"}]}, True),
        ({"connector": {"state": "FAILED"}, "tasks": []}, True),
    ],
)
def test_what_the_watcher_restarts(status, failed: bool) -> None:
    assert _has_failed(status) is failed


def test_an_absent_connect_is_one_sentence() -> None:
    with pytest.raises(GuardianError, match=r"does not answer.*guardian stack up"):
        Connect("http://127.0.0.1:1").status()
