"""Load: the highest rate of a stream that an engine holds, and what gives out first.

    python bench/load_stream.py [--engine embedded] [--seconds 60] [--from 5000] [--most 640000]

*embedded* is the whole pipeline under every rule on clicks: a file is read, paced in real time,
landed in the lake, judged, and saved. *kafka* is the embedded engine as a consumer group and
*spark* is Spark, both with the rules of live detection, beside three brokers, the producer and
PostgreSQL; they need a running stack (`eval "$(guardian stack env)"`).

A rate holds if 95 of 100 anomalies of the rules that tell at once (others wait for the close of
their windows) are readable within 5 s of their crossing event, and if lag is flat: in the last
quarter of the step the engine is at most a second further behind the stream than in the second,
the first being its start; and if the producer keeps to it. The rate is doubled until it does not
hold; two more steps narrow it down.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from bench.load_steps import ENGINES, Step, Stepping
from bench.machine import write

_LATENCY_SECONDS = 5.0
_GROWTH_SECONDS = 1.0
_BUSY = 0.9
"""Share of the time from which on something counts as given out."""
_SENT = 0.98
"""Share of the rate from which on it counts as sent."""
_NARROWINGS = 2


def judged(step: Step, rate: int, seconds: float) -> dict[str, Any]:
    """Whether a step's rate holds, and what is nearest to giving out."""
    p50, p95 = np.percentile(step.ages, (50, 95)) if step.ages else (np.nan, np.inf)
    behind = _quarters(step, seconds)
    busiest = max(step.busy, key=lambda name: step.busy[name], default="nothing")
    sent = step.sent >= _SENT
    flat = behind[3] - behind[1] < _GROWTH_SECONDS
    if not sent:
        busiest = "producer"
    return {
        "rate": rate,
        "p50_seconds": round(float(p50), 2),
        "p95_seconds": round(float(p95), 2),
        "anomalies": len(step.ages),
        "behind_seconds_by_quarter": behind,
        "busy_ratio": dict(step.busy),
        "processor_ratio": round(step.processor_ratio, 2),
        "sent_per_second": round(min(1.0, step.sent) * rate),
        "holds": bool(sent and flat and p95 < _LATENCY_SECONDS),
        "gave_out": f"processors, most by {busiest}" if step.processor_ratio >= _BUSY else busiest,
    }


def _quarters(step: Step, seconds: float) -> list[float]:
    """How far the engine was behind in each quarter of the stream, by the median of its looks.

    What is judged after the stream's end is the last quarter's.
    """
    at, behind = np.array(step.behind).reshape(-1, 2).T
    quarter = np.minimum(3, at // (seconds / 4))
    return [
        round(float(np.median(behind[quarter == n])), 2) if (quarter == n).any() else 0.0
        for n in range(4)
    ]


def search(step: Stepping, lowest: int, most: int, seconds: float) -> list[dict[str, Any]]:
    """Steps up to the rate that does not hold, and between."""

    def row(rate: int) -> dict[str, Any]:
        found = judged(step(rate, seconds), rate, seconds)
        print(found, flush=True)
        return found

    rows = [row(lowest)]
    while rows[-1]["holds"] and rows[-1]["rate"] * 2 <= most:
        rows.append(row(rows[-1]["rate"] * 2))
    for _ in range(_NARROWINGS):
        held = max((row["rate"] for row in rows if row["holds"]), default=None)
        failed = min((row["rate"] for row in rows if not row["holds"]), default=None)
        if held is None or failed is None:
            break
        rows.append(row((held + failed) // 2))
    return sorted(rows, key=lambda row: int(row["rate"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=[*ENGINES], default="embedded")
    parser.add_argument("--seconds", type=float, default=60, help="length of a step")
    parser.add_argument("--from", dest="lowest", type=int, default=5_000)
    parser.add_argument("--most", type=int, default=640_000)
    options = parser.parse_args()
    with ENGINES[options.engine]() as step:
        rows = search(step, options.lowest, options.most, options.seconds)
    holding = [row["rate"] for row in rows if row["holds"]]
    failing = [row for row in rows if not row["holds"]]
    result = {
        "engine": options.engine,
        "seconds": options.seconds,
        "highest_rate_that_holds": max(holding, default=0),
        "gave_out_first": failing[0]["gave_out"] if failing else "nothing up to --most",
        "steps": rows,
    }
    write(f"load-stream-{options.engine}", result)


if __name__ == "__main__":
    main()
