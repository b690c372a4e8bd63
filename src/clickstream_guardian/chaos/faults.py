"""The faults: how each is done to a running home, and how it is lifted again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clickstream_guardian.errors import GuardianError

_DISK_MIB = 700
_BLOCK_BYTES = 4096


@dataclass(frozen=True)
class Victim:
    """What a fault is done to: the home, and the process group that works in it."""

    home: Path
    group: int


@dataclass(frozen=True)
class Scenario:
    """A failure on purpose.

    Attributes:
        number: its number in the list of all scenarios; those missing need the cluster.
        inject: does the fault.
        lift: ends it.
        small_disk: the home is a file system of its own that can be filled; needs root.
    """

    number: int
    name: str
    story: str
    inject: Callable[[Victim], None]
    lift: Callable[[Victim], None]
    small_disk: bool = False


def postmaster(home: Path) -> int | None:
    """The process of the home's embedded database."""
    for file in (home / "postgres").rglob("postmaster.pid"):
        first = file.read_text().splitlines()[:1]
        if first and first[0].isdigit():
            return int(first[0])
    return None


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """The folder as a file system of its own, as long as the ``with``.

    Raises:
        GuardianError: this user may not mount.
    """
    size = f"size={_DISK_MIB}m,mode=0755"
    command = ["mount", "-t", "tmpfs", "-o", size, "guardian-chaos", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GuardianError(
            f"{folder}: no small disk can be mounted ({done.stderr.strip()}); run this scenario "
            "as root on a machine that lets it mount."
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def _kill_all(victim: Victim) -> None:
    with suppress(ProcessLookupError):
        os.killpg(victim.group, signal.SIGKILL)
    _kill_database(victim)


def _kill_database(victim: Victim) -> None:
    pid = postmaster(victim.home)
    if pid is None:
        raise GuardianError(f"{victim.home}: no embedded database runs here; nothing was broken.")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _filler(victim: Victim) -> Path:
    return victim.home / "filler"


def _fill_disk(victim: Victim) -> None:
    """Take every block, though others take some meanwhile."""
    step, end = shutil.disk_usage(victim.home).free, 0
    with _filler(victim).open("wb") as file:
        while step >= _BLOCK_BYTES:
            try:
                os.posix_fallocate(file.fileno(), end, step)
                end += step
            except OSError:
                step //= 2


def _empty_disk(victim: Victim) -> None:
    _filler(victim).unlink(missing_ok=True)


def _nothing(_victim: Victim) -> None:
    """A crash needs no lifting."""


SCENARIOS: dict[int, Scenario] = {
    one.number: one
    for one in (
        Scenario(
            8,
            "PostgreSQL killed mid-write",
            "The database's first process is killed while anomalies are written to it.",
            _kill_database,
            _nothing,
        ),
        Scenario(
            9,
            "disk full",
            "The home's disk is filled to the last byte, and emptied when the command has failed.",
            _fill_disk,
            _empty_disk,
            small_disk=True,
        ),
        Scenario(
            11,
            "kill -9 under load",
            "The command and its database are killed in the same moment.",
            _kill_all,
            _nothing,
        ),
    )
}
