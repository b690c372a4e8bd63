"""The API under 200 users who wait between calls: requests per second and how long they take.

Run: `python bench/load.py [--home DIR] [--users 200] [--seconds 60]` (`make load`). PostgreSQL with
a million anomalies and 183 days, the API and Locust share the machine. The users are those of
`scripts/load_test.py`, which take compressed answers as a browser does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.api import SIZE, serving
from bench.machine import write

USERS_FILE = Path(__file__).parents[1] / "scripts" / "load_test.py"


def load(url: str, users: int, seconds: int) -> list[dict[str, Any]]:
    """Locust's statistics, one entry per kind of request."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(USERS_FILE), "--host", url, "--headless"),
            *("--users", str(users), "--spawn-rate", str(max(1, users // 5)), "--reset-stats"),
            *("--run-time", f"{seconds}s", "--json", "--skip-log"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.strip():
        sys.exit(done.stderr)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def summary(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Rate and percentiles (ms) of all requests together, and of each kind."""
    together: dict[float, int] = {}
    for entry in entries:
        for time, count in entry["response_times"].items():
            together[float(time)] = together.get(float(time), 0) + count
    began = min(entry["start_time"] for entry in entries)
    ended = max(entry["last_request_timestamp"] for entry in entries)
    count = sum(entry["num_requests"] for entry in entries)
    return {
        "requests": count,
        "requests_per_second": round(count / (ended - began), 1),
        "failures": sum(entry["num_failures"] for entry in entries),
        **{f"p{p}_ms": _percentile(together, p / 100) for p in (50, 95, 99)},
        "routes": {
            entry["name"]: {
                "requests": entry["num_requests"],
                "p95_ms": _percentile(
                    {float(time): n for time, n in entry["response_times"].items()}, 0.95
                ),
            }
            for entry in sorted(entries, key=lambda one: str(one["name"]))
        },
    }


def _percentile(counts: dict[float, int], share: float) -> float:
    left = sum(counts.values()) * share
    for time in sorted(counts):
        left -= counts[time]
        if left <= 0:
            return time
    return max(counts, default=0.0)


def main() -> None:
    """Measure, print, keep."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--home", type=Path, help="keep the filled database here")
    options.add_argument("--users", type=int, default=200)
    options.add_argument("--seconds", type=int, default=60)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="gb-", dir="/tmp") as temporary:
        home = (asked.home or Path(temporary)).resolve()
        home.chmod(0o755)
        with serving(home) as (url, _):
            found = summary(load(url, asked.users, asked.seconds))
    size = {"anomalies": SIZE.anomalies, "days": SIZE.days}
    write("load", {"users": asked.users, "wait_seconds": [0.5, 1.0], **size, **found})


if __name__ == "__main__":
    main()
