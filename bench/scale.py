"""Scale: cost and memory of a replay at growing sizes, and the curve as a picture.

Run: `python bench/scale.py [--millions 1 4 16 33]`. Each size is a stretch of the same generated
series, replayed into a fresh home; the last is the whole of it, beside DuckDB's bare COPY.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from bench.history import baseline, subject
from bench.machine import write
from clickstream_guardian.lab.generator import write_dataset

FIRST = date(2014, 4, 1)
CLICKS_A_DAY = 181_000
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "scale.png"


def measure(millions: float) -> dict[str, Any]:
    """Generate about so many million clicks and replay them."""
    scratch = Path(tempfile.mkdtemp(prefix="guardian-scale-"))
    scratch.chmod(0o755)
    try:
        days = min(183, max(1, round(millions * 1e6 / CLICKS_A_DAY)))
        whole = days == 183
        span = None if whole else (FIRST, FIRST + timedelta(days=days - 1))
        report = write_dataset(scratch / "data", days=span, seed=1)
        bare = baseline(scratch / "data" / "yoochoose-clicks.dat", scratch / "bare.parquet")
        row = subject(scratch / "data", scratch / "home")
        seconds = row["seconds"]
        return {
            "clicks": report.clicks,
            **row,
            "clicks_per_second": round(report.clicks / seconds),
            "duckdb_copy_seconds": round(bare, 1),
            "ratio": round(seconds / bare, 2),
        }
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def draw(rows: list[dict[str, Any]]) -> None:
    """Seconds and memory over millions of clicks."""
    millions = [row["clicks"] / 1e6 for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(millions, [row["seconds"] for row in rows], "o-", label="Guardian, everything")
    left.plot(millions, [row["duckdb_copy_seconds"] for row in rows], "s--", label="DuckDB, COPY")
    left.set(xlabel="million clicks", ylabel="seconds", ylim=(0, None), xlim=(0, None))
    left.legend(frameon=False)
    right.plot(millions, [row["peak_mib"] for row in rows], "o-", color="tab:red")
    right.set(xlabel="million clicks", ylabel="peak memory, MiB", ylim=(0, None), xlim=(0, None))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 4, 16, 33])
    rows = [measure(millions) for millions in parser.parse_args().millions]
    draw(rows)
    write("scale", {"sizes": rows})


if __name__ == "__main__":
    main()
