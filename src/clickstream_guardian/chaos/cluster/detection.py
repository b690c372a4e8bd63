"""Live detection as a process, started again whenever it ends, as a supervisor would."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import psycopg

from clickstream_guardian.chaos.load import COMMAND, stop
from clickstream_guardian.errors import GuardianError

BUCKET_PLACES = 2
"""Positions of a bucket: clicks and purchases."""
_PATIENCE_SECONDS = 180.0
_LOOK_SECONDS = 0.1


class Detection:
    """``guardian detect`` for a group, into a database.

    Args:
        group: its consumer group.
        database: where anomalies and checkpoints go.
        folder: for its log.
        variables: what makes ``guardian`` work on the stack.
        options: more of the command's options.
    """

    def __init__(
        self,
        group: str,
        database: str,
        folder: Path,
        variables: Mapping[str, str],
        options: tuple[str, ...] = (),
    ) -> None:
        self.group = group
        self.database = database
        self._log = folder / f"{group}.log"
        self._variables = {**variables, "DATABASE_URL": database, "COLUMNS": "200"}
        self._options = options
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._asked_for = 0
        self._heard = 0
        self._keeper = threading.Thread(target=self._keep, name=f"keep {group}", daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wanted.clear()
        self._ended.set()
        try:
            self._keeper.join()
        finally:
            if self._process is not None:
                stop(self._process)

    def start(self) -> None:
        """Start it, and again whenever it ends, until ``stop``."""
        if not self._wanted.is_set():
            self._asked_for += 1
        self._wanted.set()

    def stop(self) -> None:
        """End it in order."""
        self._wanted.clear()
        if (process := self._process) is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def kill(self) -> None:
        """``kill -9``; it is started again."""
        if self._process is not None:
            self._asked_for += 1
            self._process.kill()

    @property
    def crashes(self) -> int:
        """How often it ended although nobody ended it."""
        return self._starts - self._asked_for

    def begin(self, buckets: int) -> None:
        """Start it, and wait until the beginning of every bucket is saved.

        Raises:
            GuardianError: it does not come up.
        """
        self.start()
        with psycopg.connect(self.database, autocommit=True) as connection:
            self.wait(lambda: len(positions(connection, self.group)) == buckets * BUCKET_PLACES)

    def wait(self, condition: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
        """Wait for a condition of its work.

        Raises:
            GuardianError: it did not come about.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise GuardianError(
                    f"Detection did not get on within {seconds:.0f} s: {self.said[-500:]}"
                )
            time.sleep(_LOOK_SECONDS)

    @property
    def said(self) -> str:
        """What it has printed, over all its starts."""
        return self._log.read_text() if self._log.exists() else ""

    def listen(self) -> None:
        """Forget what it has printed, for ``said_since``."""
        self._heard = len(self.said)

    @property
    def said_since(self) -> str:
        """What it has printed since ``listen``."""
        return self.said[self._heard :]

    def _keep(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            ended = self._process is None or self._process.poll() is not None
            if ended and self._wanted.is_set():
                self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        self._starts += 1
        arguments = ("detect", "--group", self.group, "--from", "latest", *self._options)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, *arguments],
                env=self._variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def positions(connection: psycopg.Connection, group: str) -> dict[tuple[str, int], int]:
    """How far a group is by its checkpoints: the next offset by topic and partition."""
    found = connection.execute(
        "SELECT source, partition, next_offset FROM detector_positions WHERE group_name LIKE %s",
        (f"kafka:{group}:%",),
    )
    return {(source, partition): offset for source, partition, offset in found}
