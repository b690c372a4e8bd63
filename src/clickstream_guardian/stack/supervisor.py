"""One supervisord per home: its configuration, its start, and talking to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import psutil

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.stack.secrets import write_private
from clickstream_guardian.stack.service import GROUPS, Service
from clickstream_guardian.stack.system import socket_path

MARK = "GUARDIAN_STACK"
"""Variable that every process of a stack carries, with the stack's folder as its value."""

_LOGS = "stdout_logfile_maxbytes=20MB\nstdout_logfile_backups=2\nredirect_stderr=true"


@dataclass(frozen=True)
class ProcessState:
    """What the supervisor tells of one process."""

    name: str
    group: str
    state: str
    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether it runs or is about to."""
        return self.state in {"STARTING", "RUNNING", "BACKOFF"}


def configuration(folder: Path, services: Iterable[Service], password: str) -> str:
    """The text of ``supervisord.conf``."""
    services = list(services)
    socket, home = _plain(socket_path(folder, "supervisor.sock")), _plain(folder)
    password = _plain(password)
    user = "user=root\n" if os.geteuid() == 0 else ""
    parts = [
        f"[unix_http_server]\nfile={socket}\nchmod=0600\nusername=guardian\npassword={password}\n",
        f"[supervisord]\nlogfile={home}/supervisord.log\nlogfile_maxbytes=5MB\n"
        f"logfile_backups=1\npidfile={home}/supervisord.pid\nchilddir={home}\n"
        f"minfds=1024\n{user}",
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = "
        "supervisor.rpcinterface:make_main_rpcinterface\n",
        *(_program(service) for service in services),
    ]
    for order, group in enumerate(GROUPS):
        names = ",".join(service.name for service in services if service.group == group)
        if names:
            parts.append(f"[group:{group}]\nprograms={names}\npriority={(order + 1) * 10}\n")
    return "\n".join(parts)


def _program(service: Service) -> str:
    command = " ".join(_quoted(part) for part in service.command)
    variables = ",".join(f"{key}={_quoted(value)}" for key, value in service.environment.items())
    lines = [
        f"[program:{service.name}]",
        f"command={command}",
        f"directory={_plain(service.folder)}",
        f"stdout_logfile=logs/{service.name}.log",  # from its folder: a percent sign trips it here
        _LOGS,
        "autostart=false\nautorestart=true\nstartsecs=1\nstartretries=1000000",
        f"stopsignal={service.stop_signal}\nstopwaitsecs={service.stop_seconds}",
        "killasgroup=true",
    ]
    if variables:
        lines.append(f"environment={variables}")
    if service.user:
        lines.append(f"user={service.user}")
    return "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    """A value of supervisor's configuration, in which a percent sign is special."""
    return str(value).replace("%", "%%")


def _quoted(text: str) -> str:
    """A value among others, in quotes.

    Raises:
        UsageError: it has a quote itself, which supervisor cannot read back.
    """
    if '"' in text or "\n" in text:
        raise UsageError(f"The stack cannot use {text!r}: take the quotation mark out of it.")
    return f'"{_plain(text)}"'


class Supervisor:
    """The supervisor of one stack folder."""

    def __init__(self, folder: Path, password: str) -> None:
        self.folder = folder
        self._password = password

    @property
    def _rpc(self) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        socket = socket_path(self.folder, "supervisor.sock")
        transport = SupervisorTransport("guardian", self._password, f"unix://{socket}")
        return cast(Any, ServerProxy("http://127.0.0.1", transport=transport)).supervisor

    def running(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._rpc.getState()["statename"])
        except (OSError, Fault):
            return False
        except Exception:  # http.client errors of a socket that is just going away
            return False

    def states(self) -> list[ProcessState]:
        """What it knows of its processes; empty if it is not running."""
        if not self.running():
            return []
        return [
            ProcessState(row["name"], row["group"], row["statename"], row["pid"], row["start"])
            for row in self._rpc.getAllProcessInfo()
        ]

    def died(self) -> bool:
        """Whether it ended without putting its pid file away, as when it was killed."""
        pid = _noted_pid(self.folder)
        return pid > 0 and not psutil.pid_exists(pid)

    def alive(self, name: str) -> bool:
        """Whether a process runs or is about to."""
        return any(state.name == name and state.alive for state in self.states())

    def apply(self, services: Iterable[Service]) -> None:
        """Start the supervisor with these services, or let a running one take them over."""
        text = configuration(self.folder, services, self._password)
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        file = self.folder / "supervisord.conf"
        same = file.exists() and file.read_text() == text
        write_private(file, text)
        if not self.running():
            self._start(file)
        elif not same:
            self._reload()

    def start(self, service: Service) -> None:
        """Start one process, if it is not up."""
        if not self.alive(service.name):
            try:
                self._rpc.startProcess(f"{service.group}:{service.name}", False)
            except Fault as fault:
                raise GuardianError(
                    f"Server {service.name} could not be started ({fault.faultString}); "
                    f"see `guardian stack logs {service.name}`."
                ) from fault

    def stop(self, service: Service) -> None:
        """Ask one process to end, and do not start it again; it may take its time."""
        self._rpc.stopProcess(f"{service.group}:{service.name}", False)

    def stop_group(self, group: str) -> None:
        """Stop all processes of a group at once and wait for them."""
        self._rpc.stopProcessGroup(group, True)

    def shutdown(self) -> None:
        """Stop everything in reverse order, then the supervisor itself."""
        if self.running():
            running = {state.group for state in self.states() if state.alive}
            for group in reversed(tuple(GROUPS)):
                if group in running:
                    self.stop_group(group)
            self._rpc.shutdown()
        deadline = time.monotonic() + 30
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.1)
        kill_strays(self.folder)

    def _start(self, file: Path) -> None:
        kill_strays(self.folder)
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(file)]
        environment = {**os.environ, MARK: str(self.folder)}  # passed on, not read
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=self.folder,
        )
        deadline = time.monotonic() + 15
        while not self.running():
            if run.returncode or time.monotonic() > deadline:
                raise GuardianError(f"The supervisor did not start: {run.stderr.strip()}")
            time.sleep(0.05)

    def _reload(self) -> None:
        added, changed, removed = self._rpc.reloadConfig()[0]
        for group in [*removed, *changed]:
            self._rpc.stopProcessGroup(group, True)
            self._rpc.removeProcessGroup(group)
        for group in [*added, *changed]:
            self._rpc.addProcessGroup(group)


def stack_processes(folder: Path) -> list[psutil.Process]:
    """Every process that carries this stack's mark, or belongs to the session of one that does.

    The supervisor begins a session. A process that writes its title into its own environment, as
    Airflow's do, has lost the mark and is told by that.
    """
    marked: list[tuple[psutil.Process, int]] = []
    others: list[tuple[psutil.Process, int]] = []
    for process in psutil.process_iter():
        try:
            of_stack = process.environ().get(MARK) == str(folder)
            (marked if of_stack else others).append((process, os.getsid(process.pid)))
        except (psutil.Error, OSError):
            continue
    sessions = {session for _, session in marked} - {os.getsid(0)}
    found = [process for process, _ in marked if process.pid != os.getpid()]
    return found + [process for process, session in others if session in sessions]


def _noted_pid(folder: Path) -> int:
    """The supervisor's process by its pid file; 0 where none is noted."""
    pid_file = folder / "supervisord.pid"
    return int(pid_file.read_text() or 0) if pid_file.exists() else 0


def kill_at_once(folder: Path) -> None:
    """Kill the supervisor, so that it starts nothing again, then its servers."""
    boss = _noted_pid(folder)
    found = stack_processes(folder)
    for process in sorted(found, key=lambda process: process.pid != boss):
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(found, timeout=10)


def kill_strays(folder: Path) -> None:
    """End servers that outlived their killed supervisor, so that ports and files are free."""
    strays = stack_processes(folder)
    for sign, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0)):
        for process in strays:
            try:
                process.send_signal(sign)
            except psutil.Error:
                continue
        _, strays = psutil.wait_procs(strays, timeout=patience)
