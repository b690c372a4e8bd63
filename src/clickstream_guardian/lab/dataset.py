"""The files of a generated data set: written beside their names, and renamed when complete."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.lab.attacks.injection import Label

CLICKS_FILE = "yoochoose-clicks.dat"
PURCHASES_FILE = "yoochoose-buys.dat"
LABELS_FILE = "labels.csv"
_FILES = (CLICKS_FILE, PURCHASES_FILE, LABELS_FILE)


class DatasetWriter:
    """Writes the three files; none of them is there under its name unless all are complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._open: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        """Make the folder and the temporary files.

        Raises:
            UsageError: The folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in _FILES:
                file = self._stack.enter_context(self._temporary(name).open("wb"))
                self._open[name] = file
        except OSError as error:
            self._discard()
            raise UsageError(f"Cannot write to {self._folder}: {error.strerror}.") from error
        self._open[LABELS_FILE].write(b"session_id,attack,family,strength\n")
        return self

    def clicks(self, lines: bytes) -> None:
        """Append lines to the clicks."""
        self._write(CLICKS_FILE, lines)

    def purchases(self, lines: bytes) -> None:
        """Append lines to the purchases."""
        self._write(PURCHASES_FILE, lines)

    def labels(self, labels: Sequence[Label]) -> None:
        """Append the truth about injected sessions."""
        rows = (f"{one.session_id},{one.attack},{one.family},{one.strength}\n" for one in labels)
        self._write(LABELS_FILE, "".join(rows).encode("ascii"))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the files their names, or remove them if the work failed."""
        if kind is not None:
            self._discard()
            return
        try:
            for file in self._open.values():
                file.flush()
                os.fsync(file.fileno())
            self._stack.close()
            for name in _FILES:
                self._temporary(name).replace(self._folder / name)
        except OSError as failure:
            self._discard()
            raise self._failed(failure) from failure

    def _write(self, name: str, lines: bytes) -> None:
        try:
            self._open[name].write(lines)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> GuardianError:
        return GuardianError(
            f"Writing to {self._folder} failed: {error.strerror}; make room and run it again."
        )

    def _discard(self) -> None:
        self._stack.close()
        for name in self._open:
            self._temporary(name).unlink(missing_ok=True)

    def _temporary(self, name: str) -> Path:
        return self._folder / f".{name}.{os.getpid()}.partial"
