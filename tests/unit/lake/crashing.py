"""A run of the lake that kills itself, or is killed, at a chosen moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from clickstream_guardian.lake import local_io
from clickstream_guardian.lake.lake import Lake, open_lake

from .rows import FILE, MIDNIGHT, clicks

TOTAL = 600
BATCH = 150
HOURS = 5


def work(lake: Lake) -> None:
    """Land what is still to land, in batches that share their hours, then tidy up."""
    position = lake.positions("clicks").get(FILE, 0)
    while position < TOTAL:
        rows = clicks(position, BATCH, every=timedelta(hours=HOURS) / BATCH)
        staged = lake.write_files("clicks", rows)
        lake.commit("clicks", staged, {FILE: position + BATCH}, {FILE: position})
        position += BATCH
    lake.compact("clicks", MIDNIGHT + timedelta(days=1), min_files=2)
    lake.expire_snapshots("clicks", timedelta(0))
    lake.remove_orphans("clicks", grace=timedelta(0))


def die() -> None:
    """What kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def run(catalog_uri: str, warehouse: Path, point: str, occurrence: int) -> None:
    """Work, and die when ``point`` is passed for the ``occurrence``-th time, from 1."""
    passed: Counter[str] = Counter()

    def on_step(step: str) -> None:
        passed[step] += 1
        if (step, passed[step]) == (point, occurrence):
            die()

    _tell_of_metadata(on_step)
    with open_lake(catalog_uri, warehouse, on_step=on_step) as lake:
        _tell_of_the_catalog(lake, on_step)
        work(lake)


def _tell_of_metadata(on_step: Callable[[str], None]) -> None:
    writer = local_io._DurableWriter
    close, write = writer.close, writer.write

    def closing(self: Any) -> None:
        close(self)
        on_step("metadata file written")

    def writing(self: Any, data: bytes) -> int:
        written = write(self, data[: len(data) // 2])
        self.flush()
        on_step("half a metadata file written")
        return written + write(self, data[len(data) // 2 :])

    writer.close, writer.write = closing, writing  # type: ignore[method-assign, assignment]


def _tell_of_the_catalog(lake: Lake, on_step: Callable[[str], None]) -> None:
    commit_table = lake._catalog.commit_table

    def committing(*args: Any) -> Any:
        response = commit_table(*args)
        on_step("catalog changed")
        return response

    lake._catalog.commit_table = committing  # type: ignore[method-assign]


def start(catalog_uri: str, warehouse: Path, point: str = "", occurrence: int = 0) -> BaseProcess:
    """Start such a run in a process of its own, forked from one that has the lake loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=run, args=(catalog_uri, warehouse, point, occurrence))
    process.start()
    return process


def kill_after(process: BaseProcess, seconds: float) -> None:
    """Let it run for a while, then kill it."""
    time.sleep(seconds)
    process.kill()
    process.join()
