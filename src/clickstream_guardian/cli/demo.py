"""The demo: one calibrated day with attacks, the whole way through."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import typer

from clickstream_guardian.cli.context import Shared
from clickstream_guardian.cli.opening import opened
from clickstream_guardian.cli.progress import Watching, telling
from clickstream_guardian.cli.screen import show_summary
from clickstream_guardian.cli.serve import serving, show_links, wait_for_stop
from clickstream_guardian.cli.summary import summarise
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.pipelines.home import Home
from clickstream_guardian.pipelines.pace import Pace
from clickstream_guardian.pipelines.replay import Request, replay
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.spool import Order
from clickstream_guardian.store import Store

DEMO_DAY = date(2014, 4, 7)
LIVE_SPEED = 300.0
_BAD_LINES = (
    b"1104,2014-13-45T25:00:00.000Z,214536502,0,00",
    b"not a click at all",
    b",2014-04-07T12:00:00.000Z,214536502,0,01",
    b"1105,2014-04-07T12:00:00.000Z,\xff\xfe,0,02",
    b"1106,2031-01-01T00:00:00.000Z,214536502,0,03",
)


def run_demo(common: Shared, settings: Settings, *, live: bool, seed: int) -> None:
    """Generate a day in arrival order with all that goes wrong in one; replay it; show it."""
    Home(settings.home_path).prepare()
    data = settings.home_path / "demo" / f"{DEMO_DAY}-{seed}"
    pace = Pace(LIVE_SPEED) if live else Pace()
    order = Order.TIME if live else Order.FILE
    with ExitStack() as stack:
        parts = stack.enter_context(opened(settings))
        if live:
            show_links(common, stack.enter_context(serving(parts.store, settings, dashboard=True)))
        watching = stack.enter_context(Watching(common.notes, ticker=live))
        if not (data / "ready.json").exists():
            watching.begin("Generating a day", None)
            _write_day(data, seed)
        inputs = ((data / "yoochoose-clicks.dat", CLICK), (data / "yoochoose-buys.dat", PURCHASE))
        observer = stack.enter_context(telling(common, settings, watching))
        report = replay(parts, Request(inputs, order), pace, observer)
        summary = summarise(parts, report)
        watching.progress.stop()
        show_summary(common.screen, summary)
        if live:
            wait_for_stop()
        elif common.screen.is_terminal and not common.quiet and sys.stdin.isatty():
            _offer_to_serve(common, parts.store, settings)


def _offer_to_serve(common: Shared, store: Store, settings: Settings) -> None:
    """The end of the demo is the beginning of looking around."""
    if typer.confirm("Serve API and dashboard now?", default=True):
        with serving(store, settings, dashboard=True) as links:
            show_links(common, links)
            wait_for_stop()


def _write_day(folder: Path, seed: int) -> None:
    days = (DEMO_DAY, DEMO_DAY)
    write_dataset(folder, days=days, seed=seed, disorder=0.02, late=0.001, duplicates=0.001)
    within = f",{DEMO_DAY}T".encode()
    for name in ("yoochoose-clicks.dat", "yoochoose-buys.dat"):
        path = folder / name
        # Sessions run on past midnight; the demo shows one day and not the crumbs of the next.
        lines = [line for line in path.read_bytes().splitlines() if within in line]
        if name == "yoochoose-clicks.dat":
            _spoil(lines)
        path.write_bytes(b"\n".join(lines) + b"\n")
    (folder / "ready.json").write_text(json.dumps({"seed": seed}))


def _spoil(lines: list[bytes]) -> None:
    """Put bad lines in, spread over the file."""
    count = 3 * len(_BAD_LINES)
    step = len(lines) // count
    for number in range(count):
        lines.insert(number * (step + 1), _BAD_LINES[number % len(_BAD_LINES)])
