"""The days of a lake on Spark beside DuckDB: seconds, memory, spill; every metric, into PostgreSQL.

Run: `python bench/batch_spark.py --home HOME`, where HOME is an embedded home with a lake, such as
`guardian generate --out DATA --duplicates 0.001` and `guardian replay` of the two files make.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.machine import write
from clickstream_guardian.cli.opening import opened
from clickstream_guardian.pipelines.daily import compute_days, due_days, lake_rows
from clickstream_guardian.settings import load_settings


class Peak(threading.Thread):
    """Greatest resident memory of this process and its children (Java), seen ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.stopped = 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.stopped.wait(0.1):
            try:
                family = [psutil.Process(), *psutil.Process().children(recursive=True)]
                names = [one for one in family if "postgres" not in one.name()]
                self.most = max(self.most, sum(one.memory_info().rss for one in names))
            except psutil.NoSuchProcess:  # it ended between the two looks
                continue

    def stop(self) -> int:
        self.stopped.set()
        self.join()
        return self.most >> 20


def spilled_mib() -> int:
    """What the running job has spilled so far, to memory or disk, by Spark's own count."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    context = session.sparkContext
    url = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/stages"
    stages = httpx.get(url, timeout=30).json()
    spilled = sum(one["memoryBytesSpilled"] + one["diskBytesSpilled"] for one in stages)
    return int(spilled) >> 20


@contextmanager
def timed(result: dict[str, Any]) -> Iterator[None]:
    """Seconds and peak memory of a block."""
    peak, started = Peak(), time.perf_counter()
    yield
    result["seconds"] = round(time.perf_counter() - started, 1)
    result["peak_mib"] = peak.stop()


def run(home: Path, engine: str, most_days: int | None) -> dict[str, Any]:
    """Compute the newest days of the lake with one engine; opening it is part of the time."""
    result: dict[str, Any] = {"engine": engine}
    with timed(result), opened(load_settings(home=home), engine) as parts:
        rows = lake_rows(parts.lake)
        days = sorted(rows)[-most_days if most_days else None :]
        opening = time.perf_counter()
        due = due_days(parts.store, parts.lake, parts.engine, days)
        compute_days(parts.store, parts.engine, parts.metrics, due)
        result["computing_seconds"] = round(time.perf_counter() - opening, 1)
        if engine == "spark":
            result["spilled_mib"] = spilled_mib()
    return result | {"days": len(days), "rows": sum(rows[day] for day in days)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--days", type=int)
    options = parser.parse_args()
    os.environ.setdefault("GUARDIAN_SPARK_MASTER", "local[2]")
    duckdb = run(options.home, "embedded", options.days)
    spark = run(options.home, "spark", options.days)
    write(
        "batch_spark",
        {
            "duckdb": duckdb,
            "spark": spark,
            "heap_mib": load_settings().spark_batch_memory_mib,
            "ratio": round(spark["seconds"] / duckdb["seconds"], 2),
        },
    )


if __name__ == "__main__":
    main()
