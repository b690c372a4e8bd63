"""The load: the real command on a generated day, started again whenever it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clickstream_guardian.errors import GuardianError

if TYPE_CHECKING:
    import polars as pl

DAY = "2014-04-07"
DAY_EVENTS = 240_000
"""Events of a generated day at scale 1, about."""
_FROM_HOUR, _TO_HOUR = 7, 21
"""The hours of the day in which traffic is about even; the load is of these."""
_EVEN_SHARE = 0.83
"""Share of a day's events in them, about."""
_STRETCH_SECONDS = (_TO_HOUR - _FROM_HOUR) * 3600
_OURS = ("GUARDIAN_", "DATABASE_", "KAFKA_", "SCHEMA_REGISTRY_")
COMMAND = [sys.executable, "-c", "from clickstream_guardian.cli import main; main()"]
"""The command ``guardian``, of this very installation."""


@dataclass(frozen=True)
class Load:
    """The even hours of a generated day, replayed so that they come at a rate.

    Attributes:
        clicks: their clicks.
        labels: the day's injected attacks.
        speed: times faster than the hours themselves.
        seconds: how long the replay takes.
    """

    clicks: Path
    labels: Path
    speed: float
    seconds: float

    def event_times(self) -> NDArray[np.int64]:
        """When the clicks happened, in their order, in microseconds since 1970."""
        import polars as pl

        at = pl.col("occurred_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="us")
        times = _lines(self.clicks).select(at.to_physical()).collect().to_series().sort().to_numpy()
        return times.astype(np.int64)

    def at_rate(self, rate: int) -> Load:
        """The same events at so many a second."""
        seconds = len(self.event_times()) / rate
        return replace(self, speed=_STRETCH_SECONDS / seconds, seconds=seconds)

    def families(self) -> dict[str, str]:
        """The family of each session that is labelled."""
        from clickstream_guardian.lab.scoring import read_labels

        return dict(read_labels(self.labels).select("session_id", "family").iter_rows())


STEADY_RATIO = 0.7
"""Share of the rate that holds at which a load is steady."""


def steady_rate(asked: int, held: float) -> int:
    """Events a second of a steady load: what is asked for, or 70 % of the rate that holds here."""
    return max(1, min(asked, int(held * STEADY_RATIO)))


def told_rate(asked: int, held: float) -> str:
    """A sentence about the rate of the load."""
    return (
        f"Here {held:,.0f} events/s hold, measured on a backlog; the load is the lower of "
        f"{asked:,} and 70 % of that: {steady_rate(asked, held):,} events/s"
    )


def held_rate(log: str, events: int) -> float:
    """Events a second that a replay took without a speed, from the first line read to the last
    event judged.

    Args:
        log: what it logged, as JSON lines.
        events: how many there were.
    """
    steps: dict[str, datetime] = {}
    for line in log.splitlines():
        said = json.loads(line)
        if said["event"] in ("work_started", "command_ended"):
            name = str(said.get("work", said["event"])).partition(" ")[0]
            steps.setdefault(name, datetime.fromisoformat(said["at"]))
    began, ended = steps["Reading"], steps.get("Computing", steps["command_ended"])
    return events / max((ended - began).total_seconds(), 0.001)


def kept_environment() -> dict[str, str]:
    """The caller's variables without those that say where our servers and data are."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}


class Command:
    """The command ``guardian`` in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def start(self, *arguments: str, log: str = "plain") -> subprocess.Popen[str]:
        """Start it in a process group of its own."""
        ours = {"GUARDIAN_HOME": str(self.home), "GUARDIAN_LOG": log}
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=kept_environment() | ours,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run it to its end; what it printed.

        Raises:
            GuardianError: it ended with another exit code.
        """
        process = self.start(*arguments)
        out, error = ended(process)
        if process.returncode not in codes:
            raise GuardianError(f"`guardian {' '.join(arguments)}` failed: {error.strip()}")
        return out

    def rehearse(self, load: Load) -> float:
        """Replay a load as fast as it goes: the events a second that hold.

        Raises:
            GuardianError: it failed.
        """
        process = self.start("--quiet", "replay", "--clicks", str(load.clicks), log="json")
        _, said = ended(process)
        if process.returncode:
            raise GuardianError(f"The undisturbed run failed: {said.strip()[-500:]}")
        return held_rate(said, len(load.event_times()))

    def anomalies(self) -> dict[str, dict[str, Any]]:
        """Every anomaly by its id."""
        lines = self.run("anomalies", "--json", "--limit", "100000").splitlines()
        return {(row := json.loads(line))["anomaly_id"]: row for line in lines}

    def reconcile(self) -> dict[str, Any]:
        """What ``guardian reconcile`` found."""
        found: dict[str, Any] = json.loads(self.run("reconcile", "--json", codes=(0, 1)))
        return found


def make_load(folder: Path, rate: int, seconds: float) -> Load:
    """Generate a day with about ``rate`` times ``seconds`` events in its even hours, to be replayed
    in that time."""
    data = folder / "data"
    scale = rate * seconds / DAY_EVENTS / _EVEN_SHARE
    generate = ("generate", "--out", str(data), "--days", DAY, "--scale", f"{scale:.4f}")
    Command(folder).run("--quiet", *generate, "--seed", "7")
    files = data / "yoochoose-clicks.dat", data / "labels.csv"
    if missing := [file for file in files if not file.exists()]:
        raise GuardianError(f"{missing[0]}: was not generated; see `guardian generate --help`.")
    clicks, labels = files
    return Load(_even_hours(clicks), labels, _STRETCH_SECONDS / seconds, seconds)


def _even_hours(clicks: Path) -> Path:
    """The clicks of these hours, in a file beside."""
    import polars as pl

    hour = pl.col("occurred_at").str.slice(len(f"{DAY}T"), 2).cast(pl.Int8)
    even = clicks.with_name("clicks.dat")
    kept = _lines(clicks).filter((hour >= _FROM_HOUR) & (hour < _TO_HOUR))
    kept.collect().write_csv(even, include_header=False)
    return even


def _lines(clicks: Path) -> pl.LazyFrame:
    import polars as pl

    from clickstream_guardian.events.decode import base_columns
    from clickstream_guardian.events.fields import CLICK

    names = base_columns(CLICK)
    return pl.scan_csv(clicks, has_header=False, infer_schema=False, new_columns=names)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for a process; what it printed. Interrupted, it does not outlive the wait."""
    try:
        return process.communicate()
    except BaseException:
        stop(process)
        raise


def stop(process: subprocess.Popen[Any]) -> None:
    """End a process group, whatever it does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
