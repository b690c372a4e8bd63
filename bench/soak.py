"""Soak: the real command on a steady stream for long; memory, open files and files stay flat.

Run: `python bench/soak.py [--minutes 30] [--rate R] [--speed 1]`. `guardian replay` reads, lands,
judges and saves a stream that comes at R events a second, by default at half of what
`bench/load_stream.py` last found to hold; its metrics are scraped and its home is looked at every
few seconds. With a speed above 1 the stream's own time runs so much faster: at 60 the two hours
that the longest window holds are over after two minutes, and what grows still is a leak.
A row is flat if its median in the last quarter is at most a tenth above that in the second, the
first being the start. The lake's files have to grow with the data, and are held against its events.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from bench.core import dense
from bench.live import as_lines
from bench.machine import read, write
from clickstream_guardian.chaos.load import COMMAND

_MOST_LOOKS = 120
_GROWTH = 1.1
_PART = 3_000_000
_DISK_BYTES = 250
"""Of the disk, for each event: its line, its place in the spool while that is cut, and the lake."""
_GROWING = {"data_files", "metadata_files"}
"""What has to grow with the events, and no faster."""
_STREAMED = "guardian_replay_events_total"
WATCHED = {
    "process_resident_memory_bytes": "memory_bytes",
    "process_open_fds": "open_files",
    "guardian_replay_behind_seconds": "behind_seconds",
    "guardian_replay_state_rows": "state_rows",
}
"""What is scraped, and what the result calls it."""


def soak(events_per_second: int, seconds: float, speed: float) -> dict[str, Any]:
    """One long stream through a fresh home."""
    folder = Path(tempfile.mkdtemp(prefix="guardian-soak-"))
    folder.chmod(0o755)
    process: subprocess.Popen[bytes] | None = None
    count = int(events_per_second * seconds)
    try:
        _need_room(folder, count * _DISK_BYTES)
        clicks = folder / "clicks.dat"
        _write(clicks, count, events_per_second / speed)
        home, port = folder / "home", _free_port()
        process = _start(home, port, clicks, speed)
        looks = _watch(process, home, port, pause=max(1.0, seconds / _MOST_LOOKS))
        if process.returncode:
            raise SystemExit(f"The command ended with exit code {process.returncode}.")
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return verdict(looks)


def _need_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{folder.parent}: {free / 1e9:.0f} GB are free and {needed / 1e9:.0f} needed; "
            "make room, set TMPDIR, or take a lower --rate."
        )


def _write(clicks: Path, count: int, rate: float) -> None:
    """The stream in parts, since all of it need not fit into memory."""
    with clicks.open("wb") as file:
        for first in range(0, count, _PART):
            size, start_us = min(_PART, count - first), int(first / rate * 1e6)
            events = dense(size, rate, 0.02, 2, seed=first, start_us=start_us)
            as_lines(events).write_csv(file, include_header=False)


def _start(home: Path, port: int, clicks: Path, speed: float) -> subprocess.Popen[bytes]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GUARDIAN_", "DATABASE_"))}
    return subprocess.Popen(
        [*COMMAND, "--quiet", "replay", "--clicks", str(clicks), "--speed", f"{speed:g}"],
        env=kept | {"GUARDIAN_HOME": str(home), "GUARDIAN_METRICS_PORT": str(port)},
        stdout=sys.stderr,
    )


def _watch(
    process: subprocess.Popen[bytes], home: Path, port: int, pause: float
) -> list[dict[str, float]]:
    """Looks at the command from its first judged event to its end."""
    looks: list[dict[str, float]] = []
    while process.poll() is None:
        scraped = _scrape(port)
        if scraped.get(_STREAMED):
            looks.append(
                {name: scraped[metric] for metric, name in WATCHED.items()}
                | {"events": scraped[_STREAMED], **_files(home)}
            )
        time.sleep(pause)
    return looks


def _scrape(port: int) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return {}
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def _files(home: Path) -> dict[str, float]:
    """Files of the home: the lake's data, its metadata, everything else but the database's."""
    lake = [path for path in (home / "lake").rglob("*") if path.is_file()]
    data = sum(path.suffix == ".parquet" for path in lake)
    others = [path for name in ("spool", "logs", "locks") for path in (home / name).rglob("*")]
    return {"data_files": data, "metadata_files": len(lake) - data, "other_files": len(others)}


def verdict(looks: list[dict[str, float]]) -> dict[str, Any]:
    """The medians of the quarters, and whether each row is flat."""
    if len(looks) < 8:
        raise SystemExit(f"Only {len(looks)} looks were had; soak for longer.")
    rows: dict[str, dict[str, Any]] = {}
    for name in looks[0]:
        values = np.array([look[name] for look in looks])
        quarters = [float(np.median(part)) for part in np.array_split(values, 4)]
        events = rows["events"]["by_quarter"] if name in _GROWING else [1.0] * 4
        second, last = (quarters[n] / events[n] for n in (1, 3))
        grows = last > second * _GROWTH + (1 if name == "behind_seconds" else 0)
        rows[name] = {
            "by_quarter": [round(q, 2) for q in quarters],
            "flat": None if name == "events" else not grows,
        }
    return {"looks": len(looks), "rows": rows}


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=None, help="events a second")
    parser.add_argument("--speed", type=float, default=1, help="of the stream's own time")
    options = parser.parse_args()
    options.rate = options.rate or int(read("load-stream-embedded")["highest_rate_that_holds"]) // 2
    result = soak(options.rate, options.minutes * 60, options.speed)
    name = "soak" if options.speed == 1 else f"soak-at-{options.speed:g}"
    write(name, {**vars(options), **result})


if __name__ == "__main__":
    main()
