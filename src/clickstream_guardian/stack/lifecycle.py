"""Bring the stack up, look at it, and take it down."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.airflow import airflow_services, install_airflow
from clickstream_guardian.stack.connect import connect_service
from clickstream_guardian.stack.endpoints import spark_lake
from clickstream_guardian.stack.jars import JMX_SET, PLUGIN_SET, resolve_jars
from clickstream_guardian.stack.java import java_for
from clickstream_guardian.stack.kafka import kafka_services
from clickstream_guardian.stack.kafka_metrics import retract
from clickstream_guardian.stack.postgres import postgres_service
from clickstream_guardian.stack.probes import port_is_free, wait_ready
from clickstream_guardian.stack.registry import registry_service
from clickstream_guardian.stack.s3 import s3_service
from clickstream_guardian.stack.secrets import StackSecrets, load_or_create_secrets, load_secrets
from clickstream_guardian.stack.service import GROUPS, ON_REQUEST, Service, with_needs
from clickstream_guardian.stack.spark import INSTALL_PYSPARK, spark_services
from clickstream_guardian.stack.supervisor import (
    Supervisor,
    kill_at_once,
    kill_strays,
    stack_processes,
)
from clickstream_guardian.stack.system import outside_home
from clickstream_guardian.stack.watch import watch_service

READY_SECONDS = 300.0
JAR_SETS = {
    "kafka": ("kafka",),
    "registry": ("registry",),
    "connect": ("kafka", "iceberg-sink", PLUGIN_SET),
    "spark": ("spark",),
}
Report = Callable[[str], None]


@dataclass(frozen=True)
class ServiceStatus:
    """One line of the table that people see."""

    name: str
    address: str
    account: str
    state: str
    pid: int
    memory_bytes: int
    up_seconds: int


def stack_folder(settings: Settings) -> Path:
    """Where the stack keeps everything but secrets."""
    return settings.home_path / "stack"


def up(settings: Settings, only: Iterable[str], report: Report) -> None:
    """Start the servers in order, each when those before are ready; a running one is left alone.

    Args:
        settings: ports, home, cache.
        only: groups to start, with what they need; empty means all but those on request.
        report: told what happens, one sentence at a time.

    Raises:
        UsageError: an unknown group; Java or Maven is missing.
        GuardianError: a server does not become ready.
    """
    secrets, _ = load_or_create_secrets(settings.home_path)
    folder = stack_folder(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    supervisor = Supervisor(folder, secrets.supervisor_password)
    wanted = with_needs(_known(only) or _all_installed(report))
    if settings.s3_server == "none":
        wanted = tuple(name for name in wanted if name != "s3")
    present = {state.group for state in supervisor.states()}
    services = plan(settings, secrets, {*wanted, *present}, report)
    if not supervisor.running():
        kill_strays(folder)
    for service in services:
        if service.group in wanted and not supervisor.alive(service.name):
            _refuse_taken_ports(settings, service)
            service.prepare()
    supervisor.apply(services)
    _start_in_order(supervisor, services, wanted, report)


def plan(
    settings: Settings, secrets: StackSecrets, groups: Iterable[str], report: Report
) -> list[Service]:
    """The services of the groups, in starting order; resolves the Java parts they need."""
    groups = set(groups)
    folder = stack_folder(settings)
    sets = {name: None for group in GROUPS if group in groups for name in JAR_SETS.get(group, ())}
    if "kafka" in groups and settings.kafka_metrics_port is not None:
        sets[JMX_SET] = None
    if sets:
        report(f"Java parts: {', '.join(sets)} (first time: downloads about 370 MB)")
    home = settings.java_home
    jars = resolve_jars(settings.cache_dir, sets, home)
    services: list[Service] = []
    if "postgres" in groups:
        services.append(postgres_service(settings, folder, secrets))
    if "s3" in groups:
        services.append(s3_service(settings, folder, secrets))
    if "kafka" in groups:
        java = java_for(17, home)
        services += kafka_services(settings, folder, java, jars, secrets.kafka_cluster_id)
    if "registry" in groups:
        java = java_for(21, home)
        services.append(registry_service(settings, folder, java, jars["registry"], secrets))
    if "connect" in groups:
        services.append(connect_service(settings, folder, java_for(17, home), jars, secrets))
    if "watch" in groups:
        services.append(watch_service(settings, folder, Path(sys.executable)))
    if "spark" in groups:
        lake = spark_lake(settings)
        services += spark_services(settings, folder, jars["spark"], secrets, lake)
    if "airflow-api" in groups:
        report("Airflow's own environment (first time: downloads about 80 MB)")
        programs = install_airflow(settings.cache_dir)
        services += airflow_services(settings, folder, programs, secrets)
    return services


def status(settings: Settings) -> list[ServiceStatus]:
    """The state and memory of each server; empty if the stack is down.

    Raises:
        GuardianError: its supervisor has died.
    """
    secrets = load_secrets(settings.home_path)
    if secrets is None:
        return []
    supervisor = Supervisor(stack_folder(settings), secrets.supervisor_password)
    states = supervisor.states()
    if not states and supervisor.died():
        raise GuardianError(
            "The stack's supervisor has died; start it again by `guardian stack up`."
        )
    groups = {state.group for state in states}
    by_name = {s.name: s for s in plan(settings, secrets, groups, lambda _: None)}
    rows = []
    for state in sorted(states, key=lambda s: (list(GROUPS).index(s.group), s.name)):
        service = by_name[state.name]
        ready = state.state if state.state != "RUNNING" else _readiness(service)
        rows.append(
            ServiceStatus(
                name=state.name,
                address=service.address,
                account=service.account,
                state=ready,
                pid=state.pid,
                memory_bytes=_memory(state.pid),
                up_seconds=int(time.time()) - state.started if state.pid else 0,
            )
        )
    return rows


def down(settings: Settings) -> bool:
    """Stop every server and the supervisor; whether there was anything to stop."""
    secrets = load_secrets(settings.home_path)
    if secrets is None:
        return False
    folder = stack_folder(settings)
    supervisor = Supervisor(folder, secrets.supervisor_password)
    found = supervisor.running() or bool(stack_processes(folder))
    supervisor.shutdown()
    retract(settings)
    return found


def destroy(settings: Settings) -> None:
    """End the stack and delete everything it kept: topics, schemas, lake, database, passwords."""
    folder = stack_folder(settings)
    kill_at_once(folder)  # what is to be deleted need not be put in order first
    shutil.rmtree(outside_home(folder / "postgres").parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    (settings.home_path / "secrets" / "stack.json").unlink(missing_ok=True)
    retract(settings)


def log_file(settings: Settings, name: str) -> Path:
    """The log of one server.

    Raises:
        UsageError: there is none of that name.
    """
    logs = stack_folder(settings) / "logs"
    file = logs / f"{name}.log"
    if not file.exists():
        known = ", ".join(sorted(path.stem for path in logs.glob("*.log"))) or "none yet"
        raise UsageError(f"There is no server {name!r} with a log; known: {known}.")
    return file


def _start_in_order(
    supervisor: Supervisor, services: list[Service], wanted: Iterable[str], report: Report
) -> None:
    for group in wanted:
        members = [service for service in services if service.group == group]
        for service in members:
            if not supervisor.alive(service.name):
                service.begin()
            supervisor.start(service)
        for service in members:
            seconds = wait_ready(
                service.name,
                service.probe,
                READY_SECONDS,
                lambda name=service.name: supervisor.alive(name),  # type: ignore[misc]
            )
            service.finish()
            report(f"{service.name} is ready at {service.address} ({seconds:.1f} s)")


def _refuse_taken_ports(settings: Settings, service: Service) -> None:
    for port in service.ports:
        if not port_is_free(settings.stack_host, port):
            raise UsageError(
                f"Port {port} of {service.name} is taken by another program: stop that, or set "
                f"GUARDIAN_{_port_setting(settings, port)} to a free one."
            )


def _port_setting(settings: Settings, port: int) -> str:
    """The setting that a port comes from: the nearest at or below it."""
    ports = {
        name: value
        for name, value in settings.model_dump().items()
        if name.endswith("_port") and isinstance(value, int) and value <= port
    }
    return max(ports, key=lambda name: ports[name]).upper()


def _known(names: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(names)
    unknown = [name for name in wanted if name not in GROUPS]
    if unknown:
        raise UsageError(f"There is no server group {unknown[0]!r}; known: {', '.join(GROUPS)}.")
    return wanted


def _all_installed(report: Report) -> tuple[str, ...]:
    """Every group but those on request; Spark only where its extra is installed."""
    groups = tuple(name for name in GROUPS if name not in ON_REQUEST)
    if find_spec("pyspark") is not None:
        return groups
    report(f"Spark is left out: {INSTALL_PYSPARK}")
    return tuple(name for name in groups if name != "spark")


def _readiness(service: Service) -> str:
    try:
        service.probe()
    except Exception:
        return "NOT READY"
    return "READY"


def _memory(pid: int) -> int:
    """Resident memory of a process and its children, shared pages counted once where known."""
    if not pid:
        return 0
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
        return sum(_private_memory(process) for process in family)
    except psutil.Error as error:
        if isinstance(error, psutil.NoSuchProcess):
            return 0
        raise GuardianError(f"The memory of process {pid} cannot be read: {error}") from error


def _private_memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.Error:
        return 0
