"""History: a whole series of files, from CSV to landed, judged and measured, beside DuckDB's COPY.

Run: `python bench/history.py [--scale 1.0] [--data FOLDER] [--catalogue]`. The full series has
33,003,944 clicks and 1,150,753 purchases in the real data set; the generator's is about as large.
Judged are the two given rules, or with `--catalogue` all there are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import psutil

from bench.machine import write
from clickstream_guardian import rules
from clickstream_guardian.lab.generator import write_dataset

GUARDIAN = Path(sys.executable).with_name("guardian")
CATALOGUE = Path(rules.__file__).with_name("catalogue")


def baseline(clicks: Path, out: Path) -> float:
    """Seconds of DuckDB's bare COPY of the click file to Parquet, all ids as text."""
    columns = "{'s': 'VARCHAR', 't': 'TIMESTAMP', 'i': 'VARCHAR', 'c': 'VARCHAR'}"
    started = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_csv('{clicks}', header=false, columns={columns})) "
            f"TO '{out}' (FORMAT parquet, COMPRESSION snappy)"
        )
    return time.perf_counter() - started


def subject(folder: Path, home: Path, *, catalogue: bool = False) -> dict[str, Any]:
    """One replay into a fresh home: seconds, and peak memory of the process."""
    judged_by = CATALOGUE if catalogue else given_rules(home.with_name("rules"))
    args = ["replay", "--clicks", str(folder / "yoochoose-clicks.dat")]
    args += ["--purchases", str(folder / "yoochoose-buys.dat"), "--json"]
    started = time.perf_counter()
    process = subprocess.Popen(
        [GUARDIAN, *args],
        env=os.environ | {"GUARDIAN_HOME": str(home), "GUARDIAN_RULES_DIR": str(judged_by)},
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = Peak(process.pid)
    out, _ = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"replay ended with {process.returncode}")
    summary = json.loads(out)
    return {
        "seconds": round(seconds, 1),
        "peak_mib": peak.stop(),
        "lines": summary["lines"],
        "anomalies": summary["anomalies"],
        "days": len(summary["days"]),
        "lake_mib": sum(f.stat().st_size for f in (home / "lake").rglob("*.parquet")) >> 20,
        "metadata_files": sum(1 for _ in (home / "lake").rglob("*.metadata.json")),
    }


def given_rules(folder: Path) -> Path:
    """A folder with the two rules that were given."""
    folder.mkdir()
    for name in ("high_frequency", "bot_like"):
        shutil.copy(CATALOGUE / f"{name}.yaml", folder)
    return folder


class Peak(threading.Thread):
    """Greatest resident memory of a process, seen five times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.most = 0
        self.start()

    def run(self) -> None:
        while True:
            try:
                self.most = max(self.most, self.process.memory_info().rss)
            except psutil.NoSuchProcess:
                return
            time.sleep(0.2)

    def stop(self) -> int:
        return self.most >> 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--catalogue", action="store_true")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="guardian-history-"))
    scratch.chmod(0o755)
    try:
        folder = options.data or scratch / "data"
        if not (folder / "labels.csv").exists():
            write_dataset(folder, scale=options.scale, seed=1)
        bare = baseline(folder / "yoochoose-clicks.dat", scratch / "bare.parquet")
        whole = subject(folder, scratch / "home", catalogue=options.catalogue)
        write(
            "history_catalogue" if options.catalogue else "history",
            {
                "duckdb_copy_seconds": round(bare, 1),
                **whole,
                "ratio": round(whole["seconds"] / bare, 2),
            },
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
