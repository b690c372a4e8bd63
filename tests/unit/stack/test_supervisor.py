"""The real supervisor over small real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.stack.service import Service, nothing
from clickstream_guardian.stack.supervisor import (
    Supervisor,
    configuration,
    kill_at_once,
    stack_processes,
)


def sleeper(folder: Path, name: str, group: str = "kafka", **more: str) -> Service:
    return Service(
        name=name,
        group=group,
        command=(sys.executable, "-c", "import time; time.sleep(600)"),
        folder=folder,
        address="nowhere",
        probe=nothing,
        environment=more,
        stop_seconds=5,
    )


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    folder = tmp_path / "100% home"
    folder.mkdir()
    made = Supervisor(folder, "secret%word")
    yield made
    kill_at_once(folder)


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def pid_of(supervisor: Supervisor, name: str) -> int:
    return next((s.pid for s in supervisor.states() if s.name == name and s.alive), 0)


def test_what_is_killed_is_started_again(supervisor: Supervisor) -> None:
    service = sleeper(supervisor.folder, "kafka-1")
    supervisor.apply([service])
    assert not supervisor.alive("kafka-1")
    supervisor.start(service)
    until(lambda: pid_of(supervisor, "kafka-1") > 0)
    first = pid_of(supervisor, "kafka-1")
    os.kill(first, signal.SIGKILL)
    until(lambda: pid_of(supervisor, "kafka-1") not in (0, first))


def test_a_second_start_leaves_what_runs_alone(supervisor: Supervisor) -> None:
    service = sleeper(supervisor.folder, "kafka-1")
    for _ in range(2):
        supervisor.apply([service])
        supervisor.start(service)
    until(lambda: pid_of(supervisor, "kafka-1") > 0)
    first = pid_of(supervisor, "kafka-1")
    supervisor.apply([service, sleeper(supervisor.folder, "s3", "s3")])
    assert pid_of(supervisor, "kafka-1") == first
    assert {state.name for state in supervisor.states()} == {"kafka-1", "s3"}


def test_changed_settings_reach_a_running_supervisor(supervisor: Supervisor) -> None:
    supervisor.apply([sleeper(supervisor.folder, "s3", "s3")])
    changed = sleeper(supervisor.folder, "s3", "s3", COLOUR="a'b, 100%")
    supervisor.apply([changed])
    supervisor.start(changed)
    until(lambda: pid_of(supervisor, "s3") > 0)
    process = psutil.Process(pid_of(supervisor, "s3"))
    until(lambda: process.environ().get("COLOUR") == "a'b, 100%")


def test_shutdown_leaves_nothing_running(supervisor: Supervisor) -> None:
    service = sleeper(supervisor.folder, "kafka-1")
    supervisor.apply([service])
    supervisor.start(service)
    assert stack_processes(supervisor.folder)
    supervisor.shutdown()
    assert stack_processes(supervisor.folder) == []


def test_a_server_that_has_lost_the_mark_is_killed_with_the_others(supervisor: Supervisor) -> None:
    plain = sleeper(supervisor.folder, "kafka-1")
    service = replace(plain, command=("env", "-i", *plain.command))
    supervisor.apply([service])
    supervisor.start(service)
    until(lambda: pid_of(supervisor, "kafka-1") > 0)
    server = psutil.Process(pid_of(supervisor, "kafka-1"))
    until(lambda: server.environ() == {})
    kill_at_once(supervisor.folder)
    until(lambda: not server.is_running() or server.status() == "zombie", 5)


def test_servers_of_a_killed_supervisor_are_ended_before_the_next(supervisor: Supervisor) -> None:
    service = sleeper(supervisor.folder, "kafka-1")
    supervisor.apply([service])
    supervisor.start(service)
    until(lambda: pid_of(supervisor, "kafka-1") > 0)
    orphan = pid_of(supervisor, "kafka-1")
    boss = int((supervisor.folder / "supervisord.pid").read_text())
    os.kill(boss, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(boss) or psutil.Process(boss).status() == "zombie")
    supervisor.apply([service])
    assert not psutil.pid_exists(orphan)
    supervisor.start(service)
    until(lambda: pid_of(supervisor, "kafka-1") > 0)


def test_its_configuration_is_private(supervisor: Supervisor) -> None:
    supervisor.apply([sleeper(supervisor.folder, "kafka-1")])
    mode = (supervisor.folder / "supervisord.conf").stat().st_mode
    assert mode & 0o077 == 0


def test_groups_stop_in_the_reverse_of_their_start(tmp_path: Path) -> None:
    services = [sleeper(tmp_path, "s3", "s3"), sleeper(tmp_path, "kafka-1")]
    text = configuration(tmp_path, services, "x")
    s3, kafka = text.index("[group:s3]"), text.index("[group:kafka]")
    assert s3 < kafka
    assert "priority=20" in text[s3:kafka]
    assert "priority=30" in text[kafka:]


def test_a_value_that_cannot_be_passed_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quotation mark"):
        configuration(tmp_path, [sleeper(tmp_path, "s3", "s3", KEY='a"b')], "x")


def test_a_killed_supervisor_is_told_from_one_that_was_stopped(tmp_path: Path) -> None:
    one = Supervisor(tmp_path, "secret")
    assert not one.died()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "supervisord.pid").write_text(f"{ended.pid}\n")
    assert one.died()
    (tmp_path / "supervisord.pid").write_text(f"{os.getpid()}\n")
    assert not one.died()
