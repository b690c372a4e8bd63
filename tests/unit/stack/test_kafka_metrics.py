"""The brokers' metrics: what the exporter is asked for, and where Prometheus finds it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.jars import JMX_SET
from clickstream_guardian.stack.kafka import kafka_services
from clickstream_guardian.stack.kafka_metrics import (
    BROKER_METRICS,
    announce,
    exporter_configuration,
    retract,
)

JAVA = Path("/java")


def test_every_rule_matches_the_bean_that_it_asks_for() -> None:
    found = json.loads(exporter_configuration())
    assert [rule["name"] for rule in found["rules"]] == list(BROKER_METRICS)
    beans = [re.split("[:,]", name) for name in found["includeObjectNames"]]
    for rule in found["rules"]:
        shown = [
            f"{domain}<{kind}, {name}><>{attribute}: 1"
            for domain, kind, name in beans
            for attribute in ("Value", "Count")
        ]
        assert len([one for one in shown if re.match(rule["pattern"], one)]) == 1
        assert rule["name"].endswith("_total") is (rule["type"] == "COUNTER")


def test_brokers_carry_the_agent_only_where_a_port_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "agent.jar").touch()
    jars = {"kafka": tmp_path, JMX_SET: tmp_path}
    plain = kafka_services(Settings(home=tmp_path), tmp_path, JAVA, jars, "id")
    assert not [part for one in plain for part in one.command if "javaagent" in part]
    told = Settings(home=tmp_path, kafka_metrics_port=9410)
    told_services = kafka_services(told, tmp_path, JAVA, jars, "id")
    assert [one.ports[-1] for one in told_services] == [9410, 9411, 9412]
    agents = [part for one in told_services for part in one.command if "javaagent" in part]
    assert [agent.split(":")[2] for agent in agents] == ["9410", "9411", "9412"]
    assert all(json.loads(Path(agent.split(":")[3]).read_text()) for agent in agents)


def test_prometheus_finds_them_until_the_stack_is_taken_down(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, kafka_metrics_port=9410)
    announce(Settings(home=tmp_path), 3)
    assert not settings.metrics_targets.exists()
    announce(settings, 3)
    [file] = settings.metrics_targets.iterdir()
    targets = ["127.0.0.1:9410", "127.0.0.1:9411", "127.0.0.1:9412"]
    assert json.loads(file.read_text()) == [
        {"targets": targets, "labels": {"job": "guardian_kafka"}}
    ]
    retract(settings)
    assert list(settings.metrics_targets.iterdir()) == []
