"""Locks between processes that the kernel drops when their holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class FileLock:
    """A lock on a file, held alone or shared until released or until the process ends."""

    def __init__(self, path: Path) -> None:
        """Open the lock's file; nothing is held yet."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def share(self) -> None:
        """Hold it together with others, waiting while somebody holds it alone."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def take(self) -> None:
        """Hold it alone, waiting while anybody holds it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def try_share(self) -> bool:
        """Hold it together with others if nobody holds it alone."""
        return self._try(fcntl.LOCK_SH)

    def try_take(self) -> bool:
        """Hold it alone if nobody holds it."""
        return self._try(fcntl.LOCK_EX)

    def release(self) -> None:
        """Let go; the file stays open for the next use."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go for good; doing it twice does no harm."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _try(self, how: int) -> bool:
        try:
            fcntl.flock(self._descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def held_alone(path: Path) -> Iterator[None]:
    """Hold the lock on ``path`` alone for the body of a ``with``."""
    lock = FileLock(path)
    try:
        lock.take()
        yield
    finally:
        lock.close()
