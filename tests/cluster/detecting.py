"""Runs `guardian detect` as a process of its own, and looks at what it leaves in the database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg

from clickstream_guardian.detector.evaluate import micros
from clickstream_guardian.store.tables import anomaly_sessions
from tests.parity.oracle import OracleAnomaly

GUARDIAN = Path(sys.executable).with_name("guardian")
SILENCE_SECONDS = 3


@dataclass
class Detector:
    """A running detector."""

    process: subprocess.Popen[bytes]
    log: Path
    killed: bool = field(default=False)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    @property
    def said(self) -> str:
        return self.log.read_text()


def start_detector(
    folder: Path, group: str, database: str, *options: str, **environment: str
) -> Detector:
    return start_process(
        [GUARDIAN, "detect", "--group", group, *options], folder, database, **environment
    )


def start_process(
    command: Sequence[str | Path], folder: Path, database: str, **environment: str
) -> Detector:
    log = folder / f"{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ
            | {
                "DATABASE_URL": database,
                "GUARDIAN_SILENCE_SECONDS": str(SILENCE_SECONDS),
                "COLUMNS": "200",
            }
            | environment,
        )
    return Detector(process, log)


def rows(database: str) -> list[OracleAnomaly]:
    """The final rows as the oracle writes them, by id."""
    columns = ", ".join(column.name for column in anomaly_sessions.c)
    with psycopg.connect(database) as connection:
        cursor = connection.execute(
            f"SELECT {columns} FROM anomaly_sessions WHERE status = 'final' ORDER BY anomaly_id"
        )
        names = [column.name for column in cursor.description or ()]
        return [_as_oracle(dict(zip(names, row, strict=True))) for row in cursor]


def statuses(database: str) -> Counter[str]:
    with psycopg.connect(database) as connection:
        return Counter(
            dict(connection.execute("SELECT status, count(*) FROM anomaly_sessions GROUP BY 1"))
        )


def next_offsets(database: str, group: str) -> dict[tuple[str, int], int]:
    """How far a group is by its checkpoints."""
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT source, partition, next_offset FROM detector_positions "
            "WHERE group_name LIKE %s",
            (f"kafka:{group}:%",),
        )
        return {(source, partition): offset for source, partition, offset in found}


def _as_oracle(row: Mapping[str, object]) -> OracleAnomaly:
    measures, sample = row["measures"], row["sample"]
    window_start, crossed_at = row["window_start"], row["first_crossed_at"]
    assert isinstance(measures, dict)
    assert isinstance(sample, dict)
    assert isinstance(window_start, datetime)
    assert isinstance(crossed_at, datetime)
    return OracleAnomaly(
        str(row["anomaly_id"]),
        str(row["rule"]),
        str(row["session_id"]),
        micros(window_start),
        tuple(sorted(measures.items())),
        int(str(row["event_count"])),
        micros(crossed_at),
        int(str(row["crossed_event_id"]), 16),
        tuple(int(one, 16) for one in sample["event_id"]),
    )
