"""Keeps one embedded PostgreSQL running while somebody uses it.

Run as a script by ``store.embedded``, in a session of its own and with the standard library only
(it starts in 20 ms). It reads its task, one JSON object, from standard input; makes the cluster if
there is none; starts the server, or adopts one whose keeper was killed; answers with one JSON
line; and stops the server when no process holds the users' lock any more. The locks are the
kernel's (``flock``), so a user that is killed is a user that has left.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

START_TIMEOUT_SECONDS = 300.0  # crash recovery may have minutes of log to replay
STOP_TIMEOUT_SECONDS = 60.0
SETTLE_TIMEOUT_SECONDS = 60.0
LARGEST_LOG_BYTES = 10_000_000


class KeeperError(Exception):
    """The server cannot be started; the message is PostgreSQL's own reason."""


class Keeper:
    """One keeper and its server; the task is made by ``embedded._task``."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.data = Path(task["data"])
        self.socket = Path(task["sockets"]) / ".s.PGSQL.5432"
        self.binaries = Path(task["binaries"])
        self.version: str = task["version"]
        self.log = Path(task["log"])
        self.owner: list[int] | None = task["owner"]
        self.options: list[str] = task["options"]
        self.creation_sql: str = task["creation_sql"]
        self.password_sql: str = task["password_sql"]
        self.password_mark: str = task["password_mark"]
        self.users_lock: str = task["users_lock"]
        self.process: subprocess.Popen[bytes] | None = None
        self.pid = 0

    # --- running PostgreSQL's programs

    def how(self) -> dict[str, Any]:
        """Clean environment (no PG* of the person's), neutral folder, unprivileged user."""
        how: dict[str, Any] = {
            "cwd": "/",
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        }
        if self.owner:
            how |= {"user": self.owner[0], "group": self.owner[1], "extra_groups": []}
        return how

    def run(self, name: str, *arguments: str, stdin: str = "") -> None:
        """Run one program to its end; single-user mode tells of errors only in its output."""
        command = [str(self.binaries / name), *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, **self.how()
        )
        output = done.stderr + done.stdout
        if done.returncode != 0 or "ERROR: " in output or "FATAL: " in output:
            raise KeeperError(reason_in(output) or f"{name} ended with {done.returncode}")

    # --- the cluster: there whole, or not at all

    def ensure_cluster(self) -> None:
        version = self.data / "PG_VERSION"
        if not version.exists():
            self.make_cluster()
        elif (found := version.read_text().strip()) != self.version:
            raise KeeperError(f"the data are of PostgreSQL {found}, not {self.version}")

    def make_cluster(self) -> None:
        for left_over in self.data.parent.glob("data.new-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        new = self.data.parent / f"data.new-{os.getpid()}"
        new.mkdir(mode=0o700)
        self.give(new)
        self.run("initdb", "-D", str(new), *INITDB_OPTIONS)
        (new / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        self.single_user(new, self.creation_sql + self.password_sql)
        self.run("initdb", "-D", str(new), "--sync-only")
        new.rename(self.data)
        sync_folder(self.data.parent)

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a path that this process made."""
        if self.owner:
            os.chown(path, *self.owner)

    def ensure_passwords(self) -> None:
        """Set the passwords anew when the secrets were lost and made again."""
        mark = self.data / "guardian-passwords"
        if not mark.exists() or mark.read_text() != self.password_mark:
            self.single_user(self.data, self.password_sql)

    def single_user(self, data: Path, sql: str) -> None:
        """Run statements, one a line, without a server; note which passwords hold now."""
        self.run("postgres", "--single", "-D", str(data), "-c", "fsync=off", "template1", stdin=sql)
        mark = data / "guardian-passwords"
        mark.write_text(self.password_mark)
        self.give(mark)

    # --- what a killed server left

    def recorded_pid(self) -> int | None:
        """The number in the server's pid file; None without a file or when it is half-written."""
        for pause in (0.5, 0.0):
            lines = self.pid_lines()
            if lines and lines[0].strip().isdigit():
                return int(lines[0])
            if not (self.data / "postmaster.pid").exists():
                return None
            time.sleep(pause)  # it is being written this moment, or its writer was killed
        return None

    def pid_lines(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.data / "postmaster.pid").read_text(errors="replace").splitlines()
        return []

    def is_ready(self) -> bool:
        lines = self.pid_lines()
        return len(lines) >= 8 and lines[7].startswith("ready") and answers(self.socket)

    def settle(self) -> int | None:
        """The pid of the ready server that runs on the data; None when none runs, traces repaired.

        A new server refuses a half-written pid file, and one whose number belongs to another
        program by now. Of the latter only the number is replaced: the rest of the file guards the
        shared memory that children of a killed server may still use.
        """
        for _ in range(int(SETTLE_TIMEOUT_SECONDS / 0.1)):
            pid = self.recorded_pid()
            if pid is None or not is_alive(pid) or not is_server(pid, self.data):
                self.repair(pid)
                return None
            if self.is_ready():
                return pid
            time.sleep(0.1)
        raise KeeperError(f"its server (process {pid}) neither answers nor ends")

    def repair(self, pid: int | None) -> None:
        path = self.data / "postmaster.pid"
        if pid is None:
            path.unlink(missing_ok=True)
        elif is_alive(pid):
            ended = subprocess.Popen(["true"], cwd="/")
            ended.wait()
            path.write_text("\n".join([str(ended.pid), *self.pid_lines()[1:]]) + "\n")
        self.socket.unlink(missing_ok=True)
        Path(f"{self.socket}.lock").unlink(missing_ok=True)

    # --- the server's life

    def start(self) -> None:
        """Start the server, or adopt a running one; return when it is ready."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_SECONDS
        while True:
            running = self.settle()
            if running is not None:
                self.pid = running
                return
            try:
                self.ensure_passwords()
                self.start_server()
                return
            except KeeperError as error:
                # children of a killed server end within moments
                if "still in use" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def start_server(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            self.log.rename(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.data), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self.how(),
            )
        self.pid = self.process.pid
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None:
                said = self.log.read_bytes()[before:].decode(errors="replace")
                raise KeeperError(reason_in(said) or "the server ended without a word")
            if time.monotonic() > deadline:
                self.stop()
                raise KeeperError(f"not ready after {START_TIMEOUT_SECONDS:.0f} s, see {self.log}")
            time.sleep(0.003)

    def wait(self) -> None:
        """Return when the server has ended."""
        if self.process is not None:
            self.process.wait()
            return
        while is_alive(self.pid):
            time.sleep(0.2)

    def stop(self) -> None:
        """Ask the server to end now, keeping everything committed; insist after a minute."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, how)
            deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
            while time.monotonic() < deadline:
                if self.process.poll() is not None if self.process else not is_alive(self.pid):
                    return
                time.sleep(0.005)

    def stop_when_unused(self) -> None:
        """Wait until no process holds the users' lock, then stop the server, nobody coming in."""
        lock(self.users_lock)
        self.stop()


INITDB_OPTIONS = (
    *("--username=guardian_admin", "--auth=trust", "--encoding=UTF8", "--no-sync"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--lc-collate=C", "--lc-ctype=C"),
    *("--lc-messages=C", "--lc-monetary=C", "--lc-numeric=C", "--lc-time=C"),
)


def lock(path: str) -> int:
    """Hold a lock alone, waiting for it; the end of this process releases it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def sync_folder(path: Path) -> None:
    """Make a rename in the folder outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def answers(path: Path) -> bool:
    """Whether a server listens on the socket; a left-over socket file refuses."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        return probe.connect_ex(str(path)) == 0


def is_alive(pid: int) -> bool:
    """Whether a process of that number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_server(pid: int, data: Path) -> bool:
    """Whether the process is a PostgreSQL server on this data folder."""
    if Path("/proc/self/cwd").exists():
        try:
            return Path(f"/proc/{pid}/cwd").samefile(data)
        except OSError:
            return False
    ps = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
    return str(data) in ps.stdout.decode(errors="replace")


def reason_in(output: str) -> str:
    """The last complaint in PostgreSQL's output, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for mark in ("PANIC: ", "FATAL: ", "ERROR: ", "initdb: error: "):
        for line in reversed(lines):
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return lines[-1] if lines else ""


def answer(said: dict[str, Any]) -> None:
    """Tell the process that waits; it may be gone."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_RDWR), sys.stdout.fileno())


def main() -> int:
    """Do the task."""
    os.umask(0o077)
    try:
        task = json.load(sys.stdin)
    except ValueError:
        return 1  # whoever began to write the task was killed
    lock(task["keeper_lock"])
    keeper = Keeper(task)
    try:
        keeper.ensure_cluster()
        keeper.start()
    except (KeeperError, OSError) as error:
        answer({"error": str(error)})
        return 1
    signal.signal(signal.SIGTERM, lambda *_: os.kill(keeper.pid, signal.SIGINT))
    answer({"pid": keeper.pid})
    threading.Thread(target=keeper.stop_when_unused, daemon=True).start()
    keeper.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
