"""What brokers tell Prometheus: the JMX exporter as an agent in each, asked for a few beans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from clickstream_guardian.settings import Settings

JOB = "guardian_kafka"
_SERVER, _CONTROLLER = "kafka.server", "kafka.controller"


@dataclass(frozen=True)
class _Bean:
    domain: str
    type: str
    name: str
    attribute: str = "Value"

    @property
    def metric(self) -> str:
        """The name by which the exporter's own examples know it."""
        end = "_total" if self.attribute == "Count" else ""
        return f"{self.domain.replace('.', '_')}_{self.type}_{self.name}{end}".lower()

    @property
    def rule(self) -> dict[str, str]:
        kind = "COUNTER" if self.attribute == "Count" else "GAUGE"
        pattern = f"{self.domain}<type={self.type}, name={self.name}><>{self.attribute}"
        return {"pattern": f"^{pattern}", "name": self.metric, "type": kind}


_BEANS = (
    _Bean(_SERVER, "BrokerTopicMetrics", "MessagesInPerSec", "Count"),
    _Bean(_SERVER, "BrokerTopicMetrics", "BytesInPerSec", "Count"),
    _Bean(_SERVER, "BrokerTopicMetrics", "BytesOutPerSec", "Count"),
    _Bean(_SERVER, "ReplicaManager", "UnderReplicatedPartitions"),
    _Bean(_SERVER, "ReplicaManager", "UnderMinIsrPartitionCount"),
    _Bean(_SERVER, "ReplicaManager", "LeaderCount"),
    _Bean(_CONTROLLER, "KafkaController", "ActiveControllerCount"),
    _Bean(_CONTROLLER, "KafkaController", "OfflinePartitionsCount"),
)
BROKER_METRICS = tuple(bean.metric for bean in _BEANS)
"""The names that a broker serves, beside those of its Java machine."""


def exporter_configuration() -> str:
    """The exporter's configuration, in the JSON that YAML includes; other beans are not read."""
    asked = sorted({f"{bean.domain}:type={bean.type},name={bean.name}" for bean in _BEANS})
    return json.dumps({"includeObjectNames": asked, "rules": [bean.rule for bean in _BEANS]})


def agent_option(settings: Settings, number: int, jars: Path, own: Path) -> tuple[str, ...]:
    """Java's option for a broker, and its file; nothing unless a port is asked for.

    Args:
        number: the broker's, from 1.
        jars: folder of the Java set ``jmx-exporter``.
        own: the broker's folder.
    """
    if settings.kafka_metrics_port is None:
        return ()
    [jar] = jars.glob("*.jar")
    own.mkdir(parents=True, exist_ok=True)
    file = own / "jmx.yaml"
    file.write_text(exporter_configuration())
    port = settings.kafka_metrics_port + number - 1
    return (f"-javaagent:{jar}={settings.stack_host}:{port}:{file}",)


def announce(settings: Settings, brokers: int) -> None:
    """Leave a file for Prometheus that names the brokers, until ``retract``."""
    if settings.kafka_metrics_port is None:
        return
    first = settings.kafka_metrics_port
    targets = [f"{settings.stack_host}:{first + n}" for n in range(brokers)]
    file = _file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([{"targets": targets, "labels": {"job": JOB}}]) + "\n")


def retract(settings: Settings) -> None:
    """The brokers are to be down."""
    _file(settings).unlink(missing_ok=True)


def _file(settings: Settings) -> Path:
    return settings.metrics_targets / f"{JOB}.json"
