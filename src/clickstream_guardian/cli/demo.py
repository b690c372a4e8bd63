"""The demo: one calibrated day with attacks, the whole way through."""

from __future__ import annotations

from datetime import date

from clickstream_guardian.cli.context import Shared
from clickstream_guardian.cli.opening import opened
from clickstream_guardian.cli.progress import Watching
from clickstream_guardian.cli.screen import show_summary
from clickstream_guardian.cli.summary import summarise
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.pipelines.home import Home
from clickstream_guardian.pipelines.pace import Pace
from clickstream_guardian.pipelines.replay import Request, replay
from clickstream_guardian.settings import Settings

DEMO_DAY = date(2014, 4, 7)


def run_demo(common: Shared, settings: Settings, *, live: bool, seed: int) -> None:
    """Generate, replay, show; with ``live`` at a speed that one can watch."""
    Home(settings.home_path).prepare()
    data = settings.home_path / "demo" / f"{DEMO_DAY}-{seed}"
    with opened(settings) as parts, Watching(common.notes, ticker=live) as watching:
        if not (data / "labels.csv").exists():
            watching.begin("Generating a day", None)
            write_dataset(data, days=(DEMO_DAY, DEMO_DAY), seed=seed)
        inputs = (
            (data / "yoochoose-clicks.dat", CLICK),
            (data / "yoochoose-buys.dat", PURCHASE),
        )
        report = replay(parts, Request(inputs), Pace(600.0 if live else None), watching)
        summary = summarise(parts, report)
    show_summary(common.screen, summary)
