"""A scenario from load to verdict; whatever interrupts it, nothing is left running or mounted."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Protocol

from clickstream_guardian.chaos.api import ApiWatch, api_verdict
from clickstream_guardian.chaos.faults import Scenario, Victim, small_disk
from clickstream_guardian.chaos.judge import Times, Verdict, judge
from clickstream_guardian.chaos.load import (
    Command,
    Load,
    make_load,
    steady_rate,
    stop,
    told_rate,
)
from clickstream_guardian.chaos.observe import Observer, Sample, away
from clickstream_guardian.chaos.timetable import Timetable
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.stream_clock import StreamClock
from clickstream_guardian.store import open_store

_FAULT_AFTER = 0.4
"""Share of the load that is judged when the fault comes."""
_PATIENCE_SECONDS = 120.0
Say = Callable[[str], None]


class Story(Protocol):
    """What a report tells of a scenario."""

    @property
    def number(self) -> int:
        """Its number in the list of all scenarios."""

    @property
    def name(self) -> str:
        """In a few words."""

    @property
    def story(self) -> str:
        """What is done."""


@dataclass(frozen=True)
class Outcome:
    """A scenario that was run.

    Attributes:
        seconds: how long the load takes undisturbed.
        complaint: what the command said of the fault.
        lag: seconds, and events that were due and not saved.
        latencies: seconds at which an anomaly was first readable, and its age then.
        held_rate: events a second that hold here, as measured on a backlog before the fault.
    """

    scenario: Story
    rate: int
    seconds: float
    times: Times
    samples: tuple[Sample, ...]
    verdict: Verdict
    complaint: str
    lag: tuple[tuple[float, int], ...] = ()
    latencies: tuple[tuple[float, float], ...] = ()
    held_rate: float | None = None


def run_scenario(scenario: Scenario, rate: int, seconds: float, say: Say) -> Outcome:
    """Run a scenario in homes of its own, which are removed at its end.

    Args:
        scenario: which.
        rate: events per second of the load; fewer, if 70 % of what holds here are fewer.
        seconds: how long the load takes undisturbed at that rate.
        say: told what is being done.

    Raises:
        GuardianError: the load cannot be made, or the command does not come back.
    """
    with scratch_folder() as folder, _home(folder / "home", scenario) as home:
        say(f"Generating {rate * seconds:,.0f} events")
        load = make_load(folder, rate, seconds)
        say("An undisturbed run, to compare with")
        calm = Command(folder / "calm")
        held = calm.rehearse(load)
        expected = calm.anomalies()
        say(told_rate(rate, held))
        rate = steady_rate(rate, held)
        load = load.at_rate(rate)
        say(f"The load at {rate:,} events/s, and in its midst: {scenario.name}")
        command = Command(home)
        with open_store(Settings(home=home, database_url=None)) as store:
            with (
                Observer(store.catalog_uri) as observer,
                ApiWatch(folder, store.catalog_uri, observer.now) as api,
            ):
                times, clock, complaint = _disturb(scenario, command, load, observer)
            timetable = Timetable(load.event_times(), clock, observer.watched_from)
            latencies = timetable.latencies(observer.first_saved())
            found = command.anomalies()
            balance, labels = command.reconcile(), load.families()
            answers = api_verdict(api.looks, away(observer.samples))
            verdict = judge(
                observer.samples, times, timetable, balance, found, expected, labels, answers
            )
        samples = tuple(observer.samples)
        return Outcome(
            scenario,
            rate,
            load.seconds,
            times,
            samples,
            verdict,
            complaint,
            tuple(timetable.lag(samples)),
            tuple(latencies),
            held,
        )


def _disturb(
    scenario: Scenario, command: Command, load: Load, observer: Observer
) -> tuple[Times, StreamClock, str]:
    """Start the load, break it, start it again as a supervisor would, to its end."""
    arguments = ("--quiet", "replay", "--clicks", str(load.clicks), "--speed", f"{load.speed:.1f}")
    process = command.start(*arguments)
    victim = Victim(command.home, process.pid)
    try:
        _wait_for_load(process, observer)
        clock = _clock(command.home)
        time.sleep(load.seconds * _FAULT_AFTER)
        if process.poll() is not None:
            raise GuardianError(_ended_early(scenario, process))
        fault = observer.now()
        scenario.inject(victim)
        _, complaint = process.communicate(timeout=_PATIENCE_SECONDS)
        detected = observer.now()
    finally:
        stop(process)
        scenario.lift(victim)
    lifted = observer.now() if scenario.small_disk else fault
    restarted = observer.now()
    command.run(*arguments)
    if process.returncode == 0:
        raise GuardianError(_ended_early(scenario, process))
    said = [line for line in complaint.splitlines() if line.startswith("guardian: ")]
    ended = observer.now()
    last = said[-1].replace(str(command.home), "HOME") if said else ""
    return Times(fault, detected, lifted, restarted, ended), clock, last


def _ended_early(scenario: Scenario, process: Popen[str]) -> str:
    """A sentence about a command that was not there any more to be broken."""
    if process.returncode == 0:
        return f"{scenario.name}: the load had ended before the fault; make it longer."
    _, error = process.communicate()
    return f"{scenario.name}: the command failed before the fault: {error.strip()[-500:]}"


def _clock(home: Path) -> StreamClock:
    """The stream's clock; it goes on through death and restart."""
    for path in (home / "spool").glob("*/clock.json"):
        if (clock := StreamClock.read(path)) is not None:
            return clock
    raise GuardianError(f"{home}: the load keeps no clock; is it replayed at a speed?")


def _wait_for_load(process: Popen[str], observer: Observer) -> None:
    """Until the first output is saved."""
    deadline = observer.now() + _PATIENCE_SECONDS
    while not observer.judged():
        if process.poll() is not None or observer.now() > deadline:
            _, error = process.communicate(timeout=5)
            raise GuardianError(f"The load did not come up: {error.strip()}")
        time.sleep(0.05)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that other users may pass through, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="guardian-chaos-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _home(home: Path, scenario: Scenario) -> Iterator[Path]:
    home.mkdir()
    with small_disk(home) if scenario.small_disk else nullcontext():
        yield home
