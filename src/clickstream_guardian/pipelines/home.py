"""The home: the folder that holds everything of a run, and the promise of a single writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from clickstream_guardian.errors import GuardianError, UsageError


class Home:
    """Paths below the home."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def warehouse(self) -> Path:
        """Where the lake's files lie."""
        return self.root / "lake"

    @property
    def spool(self) -> Path:
        """Where files being replayed are kept in replay order."""
        return self.root / "spool"

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            GuardianError: it cannot be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise GuardianError(
                f"{self.root}: the home cannot be written ({error.strerror}); "
                "set GUARDIAN_HOME to a folder of yours."
            ) from error

    @contextmanager
    def single_writer(self, work: str) -> Iterator[None]:
        """Hold the home's writer lock; a crash lets go of it by itself.

        Raises:
            UsageError: another process is writing.
        """
        lock = FileLock(self.root / "writer.lock")
        holder = self.root / "writer.txt"
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            other = holder.read_text().strip() if holder.exists() else "another command"
            raise UsageError(
                f"{self.root}: {other} is writing to this home; wait for it or use another "
                "GUARDIAN_HOME."
            ) from error
        try:
            holder.write_text(work)
            yield
        finally:
            lock.release()
