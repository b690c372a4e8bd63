"""A scenario on the cluster from load to verdict; whatever interrupts it, the fault is lifted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr

from clickstream_guardian.chaos.api import ApiVerdict, ApiWatch, api_verdict
from clickstream_guardian.chaos.cluster.detection import Detection
from clickstream_guardian.chaos.cluster.faults import ClusterScenario, Ground
from clickstream_guardian.chaos.cluster.judge import Course, Pace, course, landing_course
from clickstream_guardian.chaos.cluster.load import (
    Sender,
    SteadyLoad,
    open_producer,
    send_singles,
    steady_load,
)
from clickstream_guardian.chaos.cluster.log import Held, ends, read_back
from clickstream_guardian.chaos.cluster.observe import Seen, Watcher
from clickstream_guardian.chaos.cluster.servers import Servers, command_environment, own_stack
from clickstream_guardian.chaos.cluster.wait import wait_judged, wait_landed, wait_saved
from clickstream_guardian.chaos.judge import Times, Verdict, attacks, wrong
from clickstream_guardian.chaos.load import steady_rate, told_rate
from clickstream_guardian.chaos.run import Outcome, Say, scratch_folder
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.files import as_events
from clickstream_guardian.sources.kafka.producer import EventProducer
from clickstream_guardian.stack.endpoints import cluster_database_url
from clickstream_guardian.stack.landing import audit, landed_rows, open_cluster_lake
from clickstream_guardian.store import open_store

_FAULT_AFTER = 0.4
"""Share of the load that is sent when the fault comes."""
_REHEARSAL_SECONDS = 10.0
"""So much of the load is a backlog before it, for the rate that holds."""
_HOLD = 0.25
"""Share of the load during which it stays, at least."""
_PATIENCE_SECONDS = 60.0
"""Until work goes on without what a crash has broken, at most."""
_JUDGED = (
    "SELECT anomaly_id, rule, session_id, window_start, window_end, measures, severity, status, "
    "event_count, first_crossed_at, crossed_event_id FROM anomaly_sessions"
)


@dataclass(frozen=True)
class Trial:
    """What a run needs: the stack, the load, and two groups of detection, each with a database."""

    settings: Settings
    load: SteadyLoad
    servers: Servers
    detection: Detection
    calm: Detection
    lake: Lake | None


def run_cluster_scenario(scenario: ClusterScenario, rate: int, seconds: float, say: Say) -> Outcome:
    """Run a scenario on a stack of its own, which is removed at its end.

    Args:
        scenario: which.
        rate: events per second of the load.
        seconds: how long the load takes undisturbed.
        say: told what is being done.

    Raises:
        GuardianError: the stack or the load cannot be made, or detection does not come back.
    """
    with scratch_folder() as folder, own_stack(folder / "home", scenario.groups, say) as settings:
        return run_on(settings, folder, scenario, rate, seconds, say)


def run_on(
    settings: Settings, folder: Path, scenario: ClusterScenario, rate: int, seconds: float, say: Say
) -> Outcome:
    """Run a scenario on a running stack, whose log may hold other messages.

    Args:
        folder: for what the run keeps; removed by the caller.
    """
    say(f"Generating {rate * seconds:,.0f} events")
    load = steady_load(folder, rate, seconds)
    with (
        _trial(settings, folder, scenario, load) as trial,
        open_producer(settings) as producer,
    ):
        held_rate = _held_rate(trial, producer)
        say(told_rate(rate, held_rate))
        rate = steady_rate(rate, held_rate)
        load = replace(load, rate=rate)
        trial = replace(trial, load=load)
        starts = ends(settings)
        say(f"The load at {rate:,} events/s, and in its midst: {scenario.name}")
        times, pace, seen, corrupted = _disturb(trial, scenario, producer, folder)
        say("The same log once more, undisturbed, to compare with")
        trial.calm.start()
        wait_judged(trial.calm, settings)
        held = read_back(settings, starts, load.events)
        since = times.fault if scenario.crash else times.lifted
        way = course(seen.looks, held.read, pace, times.fault, since)
        if scenario.crash and (way.recovery_seconds or 0) > times.lifted - times.fault:
            way = replace(way, recovery_seconds=None)  # only what was broken brought it back
        if scenario.landing:
            way = landing_course(seen.landed, way, pace, since, settings.landing_commit_seconds)
        signs = _detected(times, seen, way, pace)
        verdict = _verdict(trial, signs, way, held, corrupted, api_verdict(seen.api))
        return Outcome(
            scenario,
            rate,
            load.seconds,
            times,
            way.samples,
            verdict,
            _complaint(trial.detection.said),
            way.lag,
            _latencies(seen, load, pace),
            held_rate,
        )


def _held_rate(trial: Trial, producer: EventProducer) -> float:
    """Events a second that detection takes of a backlog, while that is put on the log.

    The first half only warms it up: what runs in Java is slow at first.
    """
    rehearsal = trial.load.rehearsal(int(trial.load.rate * _REHEARSAL_SECONDS))
    half, began = len(rehearsal.events) // 2, 0.0
    send_singles(producer, rehearsal.earlier)
    for part in (rehearsal.events[:half], rehearsal.events[half:]):
        wait_saved(trial.detection, trial.settings)
        began = time.monotonic()
        producer.send(CLICK, as_events(part, CLICK))
        producer.flush()
    wait_saved(trial.detection, trial.settings)
    rate = (len(rehearsal.events) - half) / (time.monotonic() - began)
    _wait_landed(trial)
    return rate


def _disturb(
    trial: Trial, scenario: ClusterScenario, producer: EventProducer, folder: Path
) -> tuple[Times, Pace, Seen, int]:
    """Send the load, break something, lift it, and wait until all is judged."""
    detection, load = trial.detection, trial.load
    ground = Ground(trial.settings, trial.servers, detection)
    lake = trial.lake
    count = None if lake is None else lambda: landed_rows(lake, CLICK.table)
    watcher = Watcher(detection.database, detection.group, lambda: _troubles(trial), count)
    with watcher, ApiWatch(folder, detection.database, watcher.now) as api:
        _warm_up(trial, producer)
        watcher.seen.api = api.looks
        return _broken(scenario, ground, trial, watcher, Sender(producer, load))


def _broken(
    scenario: ClusterScenario, ground: Ground, trial: Trial, watcher: Watcher, sender: Sender
) -> tuple[Times, Pace, Seen, int]:
    load, detection = trial.load, trial.detection
    with sender:
        pace = Pace(sender.began - watcher.began, load.rate, len(load.events))
        time.sleep(load.seconds * _FAULT_AFTER)
        before = ends(trial.settings)
        detection.listen()
        fault = watcher.now()
        with scenario.fault(ground):
            time.sleep(load.seconds * _HOLD)
            if scenario.crash:
                with suppress(GuardianError):  # the verdict then tells that nothing came back
                    detection.wait(
                        lambda: _went_on(watcher.seen, before, load.rate // len(before)),
                        _PATIENCE_SECONDS,
                    )
            lifted = watcher.now()
        sender.wait()
        wait_judged(detection, trial.settings)
        detection.wait(lambda: not trial.servers.troubles())
        _wait_landed(trial)
        watcher.look_again(detection.wait)
        times = Times(fault, fault, lifted, lifted, watcher.now())
        return times, pace, watcher.seen, len(ground.corrupted)


def _went_on(seen: Seen, before: Mapping[int, int], more: int) -> bool:
    """Whether of every partition so much more is saved than lay there before."""
    saved = seen.looks[-1].next_offsets or {}
    return all(saved.get(place, 0) >= end + more for place, end in before.items())


def _warm_up(trial: Trial, producer: EventProducer) -> None:
    """Let detection judge, and landing land, a first event of every partition."""
    send_singles(producer, trial.load.earlier)
    wait_judged(trial.detection, trial.settings)
    _wait_landed(trial)


def _wait_landed(trial: Trial) -> None:
    """Until every message is in the lake, where that is part of the trial."""
    if trial.lake is not None:
        wait_landed(trial.detection, trial.settings, trial.lake)


def _troubles(trial: Trial) -> list[str]:
    found = [f"server {name}" for name in trial.servers.troubles()]
    if "waiting: " in trial.detection.said_since:
        found.append("detection waits")
    with suppress(psycopg.Error):
        if _rejected(trial.detection):
            found.append("messages are rejected")
    return found


def _detected(times: Times, seen: Seen, way: Course, pace: Pace) -> tuple[float | None, str]:
    """After how many seconds the fault could first be seen, and by what."""
    settled = (pace.began + times.fault) / 2  # the first half before it holds the start
    usual = max((left for at, left in way.lag if settled <= at <= times.fault), default=0)
    limit = max(pace.rate, usual)
    lagging = [(at, "lag of a second") for at, left in way.lag if left > limit]
    signs = sorted(one for one in [*seen.signs, *lagging] if one[0] > times.fault)
    if not signs:
        return None, "no sign"
    return round(signs[0][0] - times.fault, 2), signs[0][1]


def _verdict(
    trial: Trial,
    signs: tuple[float | None, str],
    way: Course,
    held: Held,
    corrupted: int,
    api: ApiVerdict,
) -> Verdict:
    landed = [] if trial.lake is None else audit(trial.settings, trial.lake)
    found, expected = _anomalies(trial.detection), _anomalies(trial.calm)
    met, missed = attacks(found, expected, trial.load.labels)
    return Verdict(
        detection_seconds=signs[0],
        recovery_seconds=way.recovery_seconds,
        lost=held.lost + sum(row.missing for row in landed),
        twice=held.twice + sum(row.repeated for row in landed),
        wrong=wrong(found, expected) + abs(_rejected(trial.detection) - corrupted),
        attacks_found=met,
        attacks_missed=missed,
        caught_up_seconds=way.caught_up_seconds,
        stalled_seconds=way.stalled_seconds,
        detected_by=signs[1],
        api=api,
        crashes=trial.detection.crashes,
    )


def _anomalies(detection: Detection) -> dict[str, dict[str, Any]]:
    with psycopg.connect(detection.database, row_factory=dict_row) as connection:
        return {row["anomaly_id"]: row for row in connection.execute(_JUDGED)}


def _rejected(detection: Detection) -> int:
    """Messages that the group could not take for an event."""
    query = "SELECT value->'rejected_by_reason' FROM status_snapshots WHERE name LIKE %s"
    with psycopg.connect(detection.database) as connection:
        rows = connection.execute(query, (f"%:{detection.group}:%",)).fetchall()
    return sum(sum(by_reason.values()) for (by_reason,) in rows)


def _latencies(seen: Seen, load: SteadyLoad, pace: Pace) -> tuple[tuple[float, float], ...]:
    """When each anomaly was first readable, and how long its event had been due then."""
    numbers = {f"{one:032x}": n for n, one in enumerate(load.events["event_id"].to_list())}
    ages = [
        (at, at - pace.when(numbers[crossed]))
        for at, crossed in seen.crossings.values()
        if crossed in numbers
    ]
    return tuple(sorted(ages))


def _complaint(said: str) -> str:
    lines = [line for line in said.splitlines() if "waiting: " in line or "guardian: " in line]
    return lines[-1] if lines else ""


@contextmanager
def _trial(
    settings: Settings, folder: Path, scenario: ClusterScenario, load: SteadyLoad
) -> Iterator[Trial]:
    variables = command_environment(settings)
    name = f"chaos_{time.time_ns()}"
    servers = Servers(settings, scenario.groups)
    buckets = settings.topic_partitions
    lands = "connect" in scenario.groups
    with (
        ExitStack() as stack,
        _database(settings, f"{name}_calm") as calm_url,
        _database(settings, name) as url,
        Detection(f"{name}-calm", calm_url, folder, variables) as calm,
        Detection(name, url, folder, variables, scenario.options) as detection,
    ):
        lake = stack.enter_context(open_cluster_lake(settings)) if lands else None
        calm.start()
        detection.begin(buckets)
        calm.begin(buckets)
        calm.stop()
        yield Trial(settings, load, servers, detection, calm, lake)


@contextmanager
def _database(settings: Settings, name: str) -> Iterator[str]:
    """A database beside the stack's own, with our tables, dropped at the end."""
    own = cluster_database_url(settings)
    url = f"{own.rpartition('/')[0]}/{name}"
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        open_store(settings.model_copy(update={"database_url": SecretStr(url)})).close()
        yield url
    finally:
        with psycopg.connect(own, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
