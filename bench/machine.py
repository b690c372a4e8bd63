"""What a measurement was made on, and where its JSON goes."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"
_LOAD_BEFORE = os.getloadavg()[0]  # at import: later it would be the measurement's own


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system, Python, load before the measurement."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": round(_LOAD_BEFORE, 2),
    }


def _without_place(argument: str) -> str:
    """A folder of this machine is of no use to others."""
    return "DIR" if Path(argument).is_absolute() else argument


def write(name: str, result: dict[str, Any]) -> None:
    """Print a result and keep it as ``bench/results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    whole = {
        "bench": name,
        "command": " ".join(["python", *map(_without_place, sys.argv)]),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        **result,
    }
    text = json.dumps(whole, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)


def read(name: str) -> dict[str, Any]:
    """The result that a benchmark wrote last."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found
