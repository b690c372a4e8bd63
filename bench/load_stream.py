"""Load: the highest rate of a stream that the embedded engine holds, and what gives out first.

Run: `python bench/load_stream.py [--seconds 60] [--from 5000] [--most 640000]`. The whole pipeline
runs under every rule of the catalogue: the file is read, paced in real time, landed in the lake,
judged, and saved. A rate holds if 95 of 100 anomalies of the two rules that tell at once (others
wait for the close of their windows) are readable within 5 s of the moment that their crossing event
was due, and if lag is flat: in the last quarter of the step the engine is at most a second
further behind the stream than in the second, the first being its start. The rate is doubled until
it does not hold; two more steps narrow it down.
"""

from __future__ import annotations

import argparse
import os
import resource
from typing import Any

import numpy as np

from bench.core import CATALOGUE, dense
from bench.live import Stopwatch, stream
from bench.machine import write

_LATENCY_SECONDS = 5.0
_GROWTH_SECONDS = 1.0
_BUSY = 0.9
"""Share of the time from which on something counts as given out."""
_NARROWINGS = 2
_NAMES = {"MainThread": "judging", "Thread-1 ": "reading", "libraries": "libraries' threads"}
"""What the threads of a replay do; two of them are named by it."""


def step(rate: int, seconds: float) -> dict[str, Any]:
    """One rate for so many seconds."""
    watch = stream(dense(int(rate * seconds), rate, 0.1, 4), CATALOGUE)
    ages = np.array(list(watch.latencies.values()))
    behind = _quarters(watch, seconds)
    p95 = float(np.percentile(ages, 95)) if len(ages) else 0.0
    row = {
        "rate": rate,
        "p50_seconds": round(float(np.percentile(ages, 50)), 2) if len(ages) else None,
        "p95_seconds": round(p95, 2),
        "anomalies": len(ages),
        "behind_seconds_by_quarter": behind,
        "busy_ratio": _busy(watch),
        "processor_ratio": round(watch.cpu / watch.wall / (os.cpu_count() or 1), 2),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    flat = behind[3] - behind[1] < _GROWTH_SECONDS
    return row | {"holds": flat and p95 < _LATENCY_SECONDS, "gave_out": _weakest(row)}


def _quarters(watch: Stopwatch, seconds: float) -> list[float]:
    """How far the engine was behind in each quarter of the stream, by the median of its steps.

    What is judged after the stream's end is the last quarter's.
    """
    at = np.array([moment for moment, _, _ in watch.steps])
    behind = np.array([late for _, _, late in watch.steps])
    quarter = np.minimum(3, at // (seconds / 4))
    return [
        round(float(np.median(behind[quarter == n])), 2) if (quarter == n).any() else 0.0
        for n in range(4)
    ]


def _weakest(row: dict[str, Any]) -> str:
    """What is used up, or nearest to it."""
    busiest = max(row["busy_ratio"], key=row["busy_ratio"].get, default="nothing")
    return f"processors, most by {busiest}" if row["processor_ratio"] >= _BUSY else str(busiest)


def _busy(watch: Stopwatch) -> dict[str, float]:
    """The share of a processor that each thread took; the libraries' own may take several."""
    if len(watch.threads) < 2:
        return {}
    (began, before), (ended, after) = watch.threads[0], watch.threads[-1]
    shares = {
        _NAMES.get(name, name): round((spent - before.get(name, 0)) / (ended - began), 2)
        for name, spent in after.items()
    }
    return {name: share for name, share in shares.items() if share > 0}


def search(lowest: int, most: int, seconds: float) -> list[dict[str, Any]]:
    """Steps up to the rate that does not hold, and between."""
    rows = [_said(step(lowest, seconds))]
    while rows[-1]["holds"] and rows[-1]["rate"] * 2 <= most:
        rows.append(_said(step(rows[-1]["rate"] * 2, seconds)))
    for _ in range(_NARROWINGS):
        held = max((row["rate"] for row in rows if row["holds"]), default=None)
        failed = min((row["rate"] for row in rows if not row["holds"]), default=None)
        if held is None or failed is None:
            break
        rows.append(_said(step((held + failed) // 2, seconds)))
    return sorted(rows, key=lambda row: int(row["rate"]))


def _said(row: dict[str, Any]) -> dict[str, Any]:
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of a step")
    parser.add_argument("--from", dest="lowest", type=int, default=5_000)
    parser.add_argument("--most", type=int, default=640_000)
    options = parser.parse_args()
    rows = search(options.lowest, options.most, options.seconds)
    holding = [row["rate"] for row in rows if row["holds"]]
    failing = [row for row in rows if not row["holds"]]
    result = {
        "seconds": options.seconds,
        "highest_rate_that_holds": max(holding, default=0),
        "gave_out_first": failing[0]["gave_out"] if failing else "nothing up to --most",
        "steps": rows,
    }
    write("load-stream", result)


if __name__ == "__main__":
    main()
