"""Progress of long work as Rich bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from clickstream_guardian.cli.context import Shared
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.settings import Settings
from clickstream_guardian.telemetry.log import is_json
from clickstream_guardian.telemetry.told import Told

if TYPE_CHECKING:
    from clickstream_guardian.pipelines.replay import Observer, Saved


@contextmanager
def telling(common: Shared, settings: Settings, watching: Watching) -> Iterator[Observer]:
    """The watcher of a replay; with metrics and a log around it where the settings ask for them."""
    if settings.metrics_port is None and not is_json():
        yield watching
        return
    from clickstream_guardian.telemetry.process import metrics_as_set
    from clickstream_guardian.telemetry.replay import ReplayMetrics, TellingObserver

    metrics = ReplayMetrics()
    with metrics_as_set(metrics.registry, settings, "guardian_replay") as address:
        if address is not None:
            common.notes.print(f"Metrics: {address}")
        yield TellingObserver(watching, metrics)


class Watching:
    """Shows one bar per piece of work, and in a live run the anomalies that come by."""

    def __init__(self, console: Console, *, ticker: bool = False) -> None:
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=console.quiet or not console.is_terminal,
        )
        self.task: TaskID | None = None
        self.ticker = ticker
        self._told = Told()

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, work: str, total: int | None) -> None:
        """Finish the last bar and start the next."""
        if self.task is not None:
            done = self.progress.tasks[-1]
            self.progress.update(self.task, completed=done.total)
        self.task = self.progress.add_task(work, total=total)

    def advance(self, amount: int) -> None:
        """Move the bar."""
        if self.task is not None:
            self.progress.advance(self.task, amount)

    def saved(self, batch: Saved) -> None:
        """The bar is moved by ``advance``."""

    def so_far(self, work: str) -> Callable[[int, int], None]:
        """A callback for work that tells how much is done and how much there is."""

        def tell(done: int, total: int) -> None:
            if self.task is None:
                self.begin(work, total)
            assert self.task is not None
            self.progress.update(self.task, completed=done, total=total)

        return tell

    def found(self, anomalies: Sequence[Anomaly]) -> None:
        """In a live run show what was found."""
        for anomaly in anomalies if self.ticker else ():
            if self._told.is_new(anomaly.anomaly_id):
                self.progress.console.print(
                    f"[bold]{anomaly.first_crossed_at:%H:%M:%S}[/] {anomaly.rule} "
                    f"session {anomaly.session_id}: {anomaly.explanation}"
                )
