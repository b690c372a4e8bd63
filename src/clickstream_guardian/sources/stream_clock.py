"""The clock of a paced replay, kept in a file: it outlives whoever reads the stream."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class StreamClock:
    """What is due when, of a replay that may be interrupted.

    Attributes:
        event_us: a moment of the events' time.
        at: the same moment in seconds since 1970; None for a clock that was stopped there.
        speed: event seconds per wall second.
    """

    event_us: int
    at: float | None
    speed: float

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The clock in a file; None where there is none."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None

    def write(self, path: Path) -> None:
        """Keep it in a file, whole or not at all."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)

    def due_us(self, now: float) -> int:
        """The event time that is due at ``now``, in seconds since 1970."""
        return self.event_us + (0 if self.at is None else int((now - self.at) * self.speed * 1e6))
