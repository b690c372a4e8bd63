"""How fast the lake takes a history: rows written and commits made, on synthetic clicks.

    python bench/lake.py [--rows 3300000] [--hours 439] [--batch-hours 100] [--json]

The default is a tenth of the real history (33 million clicks in 4,392 hours), in a folder and an
embedded PostgreSQL of its own. Prints one line per figure.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from clickstream_guardian.lake.lake import Lake, open_lake
from clickstream_guardian.lake.model import SourcePartition
from clickstream_guardian.store.embedded import start_server

START_US = 1_396_310_400_000_000  # 2014-04-01
HOUR_US = 3_600_000_000
SOURCE = SourcePartition("0123456789abcdef0123456789abcdef", 0)


def clicks(first: int, count: int, first_hour: int, hours: int, seed: int) -> pa.Table:
    """Clicks in time order, with ids and texts as long and as varied as real ones."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, hours * HOUR_US, count)) + START_US + first_hour * HOUR_US
    sessions = (np.arange(count) + first) // 4 + rng.integers(0, 400, count)
    items = 214_500_000 + rng.zipf(1.3, count) % 52_000
    ids = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), count, [None, pa.py_buffer(rng.bytes(16 * count))]
    )
    return pa.table(
        {
            "event_id": ids,
            "session_id": pa.array(sessions).cast(pa.string()),
            "occurred_at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "item_id": pa.array(items).cast(pa.string()),
            "category": pa.array(rng.integers(0, 12, count)).cast(pa.string()),
            "source": pa.repeat(SOURCE.source, count),
            "partition": pa.array(np.zeros(count, np.int32)),
            "offset": pa.array(np.arange(first, first + count)),
            "received_at": pa.repeat(pa.scalar(START_US, pa.timestamp("us", "UTC")), count),
        }
    )


def run(lake: Lake, rows: int, hours: int, batch_hours: int) -> dict[str, float]:
    """Land the rows batch by batch and time each part."""
    written = committed = slowest = 0.0
    landed = commits = files = 0
    cpu = 0.0
    for number, first_hour in enumerate(range(0, hours, batch_hours)):
        span = min(batch_hours, hours - first_hour)
        count = rows * span // hours
        batch = clicks(landed, count, first_hour, span, number)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        staged = lake.write_files("clicks", batch)
        middle = time.perf_counter()
        lake.commit("clicks", staged, {SOURCE: landed + count}, {SOURCE: landed})
        end = time.perf_counter()
        cpu += time.process_time() - begin_cpu
        written, committed = written + middle - begin, committed + end - middle
        slowest = max(slowest, end - middle)
        landed, commits, files = landed + count, commits + 1, files + len(staged.files)
    return {
        "rows": landed,
        "files": files,
        "commits": commits,
        "write_seconds": round(written, 3),
        "rows_per_second_written": round(landed / written),
        "commit_seconds": round(committed, 3),
        "slowest_commit_seconds": round(slowest, 3),
        "cpu_seconds": round(cpu, 3),
    }


def main() -> None:
    """Run and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rows", type=int, default=3_300_000)
    options.add_argument("--hours", type=int, default=439)
    options.add_argument("--batch-hours", type=int, default=100)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        start_server(Path(folder)) as server,
        open_lake(server.owner_url, Path(folder, "lake")) as lake,
    ):
        figures = run(lake, given.rows, given.hours, given.batch_hours)
        begin = time.perf_counter()
        files = lake.data_files("clicks")
        figures["list_files_seconds"] = round(time.perf_counter() - begin, 3)
        figures["bytes"] = sum(file.bytes for file in files)
        begin = time.perf_counter()
        lake.remove_orphans("clicks")
        figures["remove_orphans_seconds"] = round(time.perf_counter() - begin, 3)
    figures["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if given.json:
        print(json.dumps(figures | {"at": datetime.now(UTC).isoformat()}))
    else:
        print(*(f"{name:26} {value:>14,}" for name, value in figures.items()), sep="\n")


if __name__ == "__main__":
    main()
