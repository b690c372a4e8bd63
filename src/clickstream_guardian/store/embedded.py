"""Starts the embedded PostgreSQL on demand; the last user to leave, or to die, stops it.

A keeper process (``keeper.py``) owns the server. Every user holds a shared lock; the keeper waits
to hold that lock alone, which the kernel grants when the last user has gone, and then stops the
server. Starting takes three locks in ``<home>/locks``: ``postgres-start`` (one starter at a time),
``postgres-users`` (shared by users, taken by the keeper to stop) and ``postgres-keeper`` (held by
the living keeper).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.store.keeper import answers
from clickstream_guardian.store.locks import FileLock, held_alone
from clickstream_guardian.store.passwords import Passwords, ensure_passwords
from clickstream_guardian.store.placement import POSTGRES_VERSION, Place, settle_place

DATABASE = "guardian"
ADMIN_ROLE = "guardian_admin"
OWNER_ROLE = "guardian"
READER_ROLE = "guardian_reader"
_START_TIMEOUT_SECONDS = 330.0
_LOW_DISK_BYTES = 64_000_000

SERVER_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_locks_per_transaction": "256",  # daily metrics lock a table's days one by one
    "max_parallel_workers_per_gather": "0",  # containers give /dev/shm too little room
    "jit": "off",
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "client_connection_check_interval": "1s",  # a killed client's statement ends, its locks go
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class _Locks:
    start: Path
    users: Path
    keeper: Path

    @classmethod
    def of(cls, home: Path) -> _Locks:
        folder = home / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return cls(*(folder / f"postgres-{name}" for name in ("start", "users", "keeper")))


class EmbeddedServer:
    """This process's share in a running server; leaving the ``with`` gives it back."""

    def __init__(self, home: Path, place: Place, passwords: Passwords, users: FileLock) -> None:
        self.home = home
        self.place = place
        self._passwords = passwords
        self._users = users
        self._locks = _Locks.of(home)

    @property
    def owner_url(self) -> str:
        """URL of the role that owns the tables."""
        return self.url(OWNER_ROLE, self._passwords.owner)

    @property
    def reader_url(self) -> str:
        """URL of the role that may only read the serving tables."""
        return self.url(READER_ROLE, self._passwords.reader)

    @property
    def admin_url(self) -> str:
        """URL of the superuser; for making databases, never for the work."""
        return self.url(ADMIN_ROLE, self._passwords.admin)

    def url(self, role: str, password: str, database: str = DATABASE) -> str:
        """SQLAlchemy URL of a role over the server's socket."""
        folder = quote(str(self.place.sockets), safe="")
        return f"postgresql+psycopg://{role}:{quote(password, safe='')}@/{database}?host={folder}"

    def close(self) -> None:
        """Leave; if nobody else uses the server, return when it has stopped."""
        self._users.close()
        with contextlib.suppress(OSError):  # the home may have been deleted under us
            _wait_unless_used(self._locks)
        _KEEPERS[:] = [keeper for keeper in _KEEPERS if keeper.poll() is None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_server(home: Path, settings: Mapping[str, str] | None = None) -> EmbeddedServer:
    """Start the home's PostgreSQL, or join the running one.

    Args:
        home: absolute path of the home; made if missing.
        settings: PostgreSQL settings over ``SERVER_SETTINGS``; a running server keeps its own.

    Raises:
        GuardianError: it cannot be started; the sentence says why and what to do.
    """
    try:
        return _start(home, {**SERVER_SETTINGS, **(settings or {})})
    except OSError as error:
        raise _home_error(home, error) from error


def _start(home: Path, settings: Mapping[str, str]) -> EmbeddedServer:
    locks = _Locks.of(home)
    (home / "logs").mkdir(exist_ok=True)
    with held_alone(locks.start):
        users = FileLock(locks.users)
        try:
            users.share()
            place = settle_place(home)
            passwords = ensure_passwords(home / "secrets")
            task = _task(home, place, passwords, locks, settings)
            _ensure_keeper(place, task, locks)
        except BaseException:
            users.close()
            raise
    return EmbeddedServer(home, place, passwords, users)


def _ensure_keeper(place: Place, task: Mapping[str, Any], locks: _Locks) -> None:
    """Return when a keeper lives and its server is ready."""
    keeper = FileLock(locks.keeper)
    try:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if keeper.try_take():
                keeper.release()
                _spawn_keeper(task)
                return
            if _is_ready(place):
                return
            time.sleep(0.01)  # a keeper whose starter was killed is at it, or one is leaving
    finally:
        keeper.close()
    raise GuardianError(
        f"The database in {place.folder} was not ready after {_START_TIMEOUT_SECONDS:.0f} s: "
        f"see {task['log']}."
    )


def _is_ready(place: Place) -> bool:
    try:
        lines = (place.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    ready = len(lines) >= 8 and lines[7].startswith("ready")
    return ready and answers(place.sockets / ".s.PGSQL.5432")


def _spawn_keeper(task: Mapping[str, Any]) -> None:
    with Path(task["log"]).open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with contextlib.suppress(BrokenPipeError), keeper.stdin as stdin:
        stdin.write(json.dumps(task).encode())
    with keeper.stdout as stdout:
        said = stdout.readline()
    answer = json.loads(said) if said else {"error": "its keeper process was ended"}
    if "error" in answer:
        keeper.wait()
        raise _start_error(task, answer["error"])
    _KEEPERS.append(keeper)


_KEEPERS: list[subprocess.Popen[bytes]] = []
"""Keepers this process spawned, to be reaped once they have ended."""


def _task(
    home: Path,
    place: Place,
    passwords: Passwords,
    locks: _Locks,
    settings: Mapping[str, str],
) -> dict[str, Any]:
    """What ``keeper.py`` needs to know."""
    options = ["-k", str(place.sockets), "-p", "5432"]
    for name, value in settings.items():
        options += ["-c", f"{name}={value}"]
    return {
        "data": str(place.data),
        "sockets": str(place.sockets),
        "binaries": str(place.programs),
        "version": POSTGRES_VERSION,
        "log": str(home / "logs" / "postgres.log"),
        "owner": [place.account.uid, place.account.gid] if place.account else None,
        "options": options,
        "creation_sql": _creation_sql(),
        "password_sql": _password_sql(passwords),
        "password_mark": hashlib.sha256("\n".join(passwords.all).encode()).hexdigest(),
        "keeper_lock": str(locks.keeper),
        "users_lock": str(locks.users),
    }


def _creation_sql() -> str:
    """The roles and the database of a new cluster, one statement a line."""
    return "".join(
        f"{statement};\n"
        for statement in (
            f"CREATE ROLE {OWNER_ROLE} LOGIN",
            f"CREATE ROLE {READER_ROLE} LOGIN",
            f"ALTER ROLE {READER_ROLE} SET default_transaction_read_only = on",
            f"ALTER DATABASE postgres RENAME TO {DATABASE}",
            f"ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE}",
            f"REVOKE TEMPORARY ON DATABASE {DATABASE} FROM PUBLIC",
        )
    )


def _password_sql(passwords: Passwords) -> str:
    pairs = zip((ADMIN_ROLE, OWNER_ROLE, READER_ROLE), passwords.all, strict=True)
    return "".join(f"ALTER ROLE {role} PASSWORD '{password}';\n" for role, password in pairs)


def _wait_unless_used(locks: _Locks) -> None:
    """Return when the keeper has gone, or at once when the server has other users."""
    keeper, users = FileLock(locks.keeper), FileLock(locks.users)
    try:
        while not keeper.try_take():
            if users.try_take():
                users.release()  # the keeper has yet to wake up
            elif users.try_share():
                return
            time.sleep(0.002)
    finally:
        keeper.close()
        users.close()


def _start_error(task: Mapping[str, Any], reason: str) -> GuardianError:
    folder = Path(task["data"]).parent
    if "No space left on device" in reason or "Disk quota exceeded" in reason:
        return disk_full(folder)
    return GuardianError(
        f"The embedded database in {folder} did not start ({reason}): "
        f"see {task['log']}, or set DATABASE_URL to another PostgreSQL."
    )


def disk_full(folder: Path) -> GuardianError:
    """The sentence for a disk without room."""
    free = shutil.disk_usage(folder).free // 1_000_000
    return GuardianError(
        f"The disk of {folder} is full ({free} MB free): make room and run the same command "
        "again, it goes on where it stopped."
    )


def is_disk_low(folder: Path) -> bool:
    """Whether so little room is left that a server that vanished probably stopped for it."""
    return shutil.disk_usage(folder).free < _LOW_DISK_BYTES


def _home_error(home: Path, error: OSError) -> GuardianError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return UsageError(
            f"GUARDIAN_HOME={home} cannot be used: {error.filename} is no folder; name another."
        )
    return GuardianError(
        f"GUARDIAN_HOME={home} cannot be written ({error.strerror}: {error.filename}): "
        "make the folder writable, or set GUARDIAN_HOME to one that is."
    )
