"""Three Kafka brokers in KRaft mode, each broker and controller at once."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.admin import brokers_online
from clickstream_guardian.stack.jars import JMX_SET
from clickstream_guardian.stack.kafka_metrics import agent_option, announce
from clickstream_guardian.stack.secrets import write_private
from clickstream_guardian.stack.service import Service

BROKERS = (1, 2, 3)

FAILOVER = {
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1500",
    "controller.quorum.election.timeout.ms": "800",
    "controller.quorum.election.backoff.max.ms": "400",
    "controller.quorum.request.timeout.ms": "1500",
    "replica.lag.time.max.ms": "5000",
    "replica.fetch.wait.max.ms": "300",
}
"""A dead replica holds up the acks of every partition until it is fenced: seconds, not ten."""

LOGGING = """\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %-5p %c{1}: %m%n
rootLogger.level = {level}
rootLogger.appenderRef.console.ref = console
"""


def broker_properties(settings: Settings, number: int, data: Path) -> dict[str, str]:
    """The configuration of one broker."""
    host = settings.stack_host
    controller = settings.kafka_controller_port
    voters = ",".join(f"{n}@{host}:{controller + n - 1}" for n in BROKERS)
    client, control = settings.kafka_port + number - 1, controller + number - 1
    return {
        "process.roles": "broker,controller",
        "node.id": str(number),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": f"PLAINTEXT://{host}:{client},CONTROLLER://{host}:{control}",
        "advertised.listeners": f"PLAINTEXT://{host}:{client}",
        "log.dirs": str(data),
        **COMMON,
        **FAILOVER,
    }


COMMON = {
    "auto.create.topics.enable": "false",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "6",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "transaction.state.log.num.partitions": "6",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "group.initial.rebalance.delay.ms": "200",
    "unclean.leader.election.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.segment.bytes": "268435456",
}
"""What brokers share natively and in Compose."""


def as_properties(values: dict[str, str]) -> str:
    """A Java properties file."""
    return "".join(f"{key}={value}\n" for key, value in values.items())


def kafka_services(
    settings: Settings, folder: Path, java: Path, jars: Mapping[str, Path], cluster_id: str
) -> list[Service]:
    """The three brokers."""
    return [_broker(settings, folder, java, jars, cluster_id, number) for number in BROKERS]


def _broker(
    settings: Settings,
    folder: Path,
    java: Path,
    jars: Mapping[str, Path],
    cluster_id: str,
    number: int,
) -> Service:
    own = folder / f"kafka-{number}"
    properties = own / "server.properties"
    logging = own / "log4j2.properties"
    data = own / "data"
    port = settings.kafka_port + number - 1
    options = ("-Xms192m", "-Xmx384m", "-XX:+UseG1GC", f"-Dlog4j2.configurationFile={logging}")
    base = (str(java), *options, "-cp", f"{jars['kafka']}/*")
    metrics_port = settings.kafka_metrics_port
    agent = () if metrics_port is None else agent_option(settings, number, jars[JMX_SET], own)

    def prepare() -> None:
        own.mkdir(parents=True, exist_ok=True)
        write_private(properties, as_properties(broker_properties(settings, number, data)))
        logging.write_text(LOGGING.replace("{level}", "WARN"))
        if not (data / "meta.properties").exists():
            _format(base, cluster_id, properties)
        announce(settings, len(BROKERS))

    return Service(
        name=f"kafka-{number}",
        group="kafka",
        command=(base[0], *agent, *base[1:], "kafka.Kafka", str(properties)),
        folder=own,
        address=f"{settings.stack_host}:{port}",
        ports=(
            *(port, settings.kafka_controller_port + number - 1),
            *(() if metrics_port is None else (metrics_port + number - 1,)),
        ),
        probe=lambda: brokers_online(f"{settings.stack_host}:{port}", len(BROKERS)),
        prepare=prepare,
        stop_seconds=25,
    )


def _format(base: tuple[str, ...], cluster_id: str, properties: Path) -> None:
    arguments = ("format", "-t", cluster_id, "-c", str(properties), "--ignore-formatted")
    run = subprocess.run(
        [*base, "kafka.tools.StorageTool", *arguments], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise GuardianError(
            f"Kafka could not format its folder by {properties}: {run.stderr.strip()[-400:]}"
        )
