"""Replay: files in; lake, anomalies and the days' numbers out; killed anywhere, it goes on.

The story, once per run:

1. every file is named by the hash of its bytes and registered; a finished one is left alone;
2. it is read once into the spool, which sets bad lines apart;
3. bad lines are landed in ``raw.rejected``;
4. batches, in the order asked for, are landed and judged side by side, each at its own position;
5. the files are marked finished, and every day whose rows or verdicts have changed is computed.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import DetectorConfig
from clickstream_guardian.engines.days import MetricEngine
from clickstream_guardian.errors import TooMuchRejectedError, UsageError
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.metrics.model import Metric
from clickstream_guardian.pipelines.ahead import ahead
from clickstream_guardian.pipelines.behind import behind
from clickstream_guardian.pipelines.clients import meet_clients
from clickstream_guardian.pipelines.daily import compute_days, due_days
from clickstream_guardian.pipelines.detect import Detection
from clickstream_guardian.pipelines.home import Home
from clickstream_guardian.pipelines.judge import Judged
from clickstream_guardian.pipelines.land import Lander, raw_rows
from clickstream_guardian.pipelines.pace import Pace
from clickstream_guardian.pipelines.reconcile import note_lake
from clickstream_guardian.pipelines.rehearsal import rehearse
from clickstream_guardian.sources.lines import check_file, fingerprint
from clickstream_guardian.sources.replay import SLICE_ROWS, Batch, FileSource, batches
from clickstream_guardian.sources.spool import Order, build_spool, file_layout
from clickstream_guardian.store import (
    SourceRecord,
    Store,
    begin_source,
    finish_source,
)

_BATCHES_AHEAD = 2
_ROWS_BEHIND = 2 * SLICE_ROWS
"""Events that may wait to be landed while detection goes on; they are held in memory."""
_STEPS_BEHIND = 2
"""Steps of detection that may wait to be saved, the one being saved among them."""


@dataclass(frozen=True)
class Saved:
    """A batch that is judged, and what was found is saved.

    Attributes:
        rows: its events.
        left: events of the files that are not judged yet.
        seconds: what that took.
        behind_seconds: for so long they had been due, at a speed.
        state_rows: events that detection held then, because their windows were not settled.
    """

    rows: int
    left: int
    seconds: float
    behind_seconds: float
    state_rows: int


class Observer(Protocol):
    """Who watches a replay: the command line's progress bars, or nobody."""

    def begin(self, work: str, total: int | None) -> None:
        """A piece of work starts; ``total`` in its own unit, None if it cannot be known."""

    def advance(self, amount: int) -> None:
        """So much of it is done."""

    def saved(self, batch: Saved) -> None:
        """A batch is judged and saved; told by another thread than the rest, like ``found``."""

    def found(self, anomalies: Sequence[Anomaly]) -> None:
        """Anomalies are readable in the database; told by another thread than the rest."""


@dataclass(frozen=True)
class Request:
    """What to replay, and how.

    Attributes:
        max_events: take only the first so many lines of each file.
        max_rejected_ratio: a file with a greater share of rejected lines fails the run at its end.
    """

    inputs: tuple[tuple[Path, EventKind], ...]
    order: Order = Order.TIME
    max_events: int | None = None
    strict: bool = False
    max_rejected_ratio: float = 0.5


@dataclass(frozen=True)
class Parts:
    """The opened rooms a replay works with."""

    home: Home
    store: Store
    lake: Lake
    engine: MetricEngine
    metrics: tuple[Metric, ...]
    detector: DetectorConfig


@dataclass
class Report:
    """What a replay did.

    Attributes:
        already: files that were finished before and left alone.
        lines: non-blank lines of the files replayed.
        rejected: lines by reason code.
        late: events that came too late for detection; they are in the lake all the same.
        days: days computed.
    """

    already: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    lines: int = 0
    events: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    late: int = 0
    days: list[date] = field(default_factory=list)


def replay(parts: Parts, request: Request, pace: Pace, observer: Observer) -> Report:
    """Run the whole pipeline over files.

    Raises:
        UsageError: a file cannot be read, or another command is writing.
        TooMuchRejectedError: a line was rejected under ``strict``, or too large a share of a file.
    """
    for path, _ in request.inputs:
        check_file(path)
    with parts.home.single_writer("guardian replay"):
        report = Report()
        files = _open_files(parts, request, observer, report)
        for group in _groups(files, request.order):
            _run(parts, group, pace, observer, report)
        _finish(parts, files, observer, report)
    _refuse_too_much(files, request.max_rejected_ratio)
    return report


def _open_files(
    parts: Parts, request: Request, observer: Observer, report: Report
) -> list[FileSource]:
    """Name, register and spool the files that are not finished yet."""
    files: dict[str, FileSource] = {}
    for path, kind in request.inputs:
        observer.begin(f"Naming {path.name}", path.stat().st_size)
        source = fingerprint(path, observer.advance)
        if request.max_events is not None:
            source = f"{source}:first-{request.max_events}"
        record = _register(parts.store, source, path, kind, request)
        spooled = parts.home.spool / source.replace(":", "-")
        if record.status == "finished":
            shutil.rmtree(spooled, ignore_errors=True)  # where a death came before that
        if record.status == "finished" or source in files:
            report.already.append(path)
            continue
        observer.begin(f"Reading {path.name}", path.stat().st_size)
        spool = build_spool(
            spooled,
            path,
            kind,
            request.order,
            record.received_at,
            max_rows=request.max_events,
            strict=request.strict,
            progress=observer.advance,
        )
        files[source] = FileSource(source, path, kind, record.received_at, spool)
    return list(files.values())


def _register(
    store: Store, source: str, path: Path, kind: EventKind, request: Request
) -> SourceRecord:
    now = datetime.now(UTC).replace(microsecond=0)
    record = SourceRecord(
        source=source,
        kind=kind.name,
        place=path.name,
        bytes=path.stat().st_size,
        replay_order=str(request.order),
        received_at=now,
        first_lines=request.max_events,
        line_columns=file_layout(path, kind).columns,
    )
    with store.begin() as connection:
        stored = begin_source(connection, record)
    if stored.kind != kind.name:
        raise UsageError(f"{path}: was replayed as {stored.kind}s before; name it as such.")
    if stored.status != "finished" and stored.replay_order != request.order:
        raise UsageError(
            f"{path}: its replay was begun in {stored.replay_order} order and not finished; "
            f"go on with --order {stored.replay_order}."
        )
    return stored


def _groups(files: Sequence[FileSource], order: Order) -> Iterator[list[FileSource]]:
    """Files that are judged together: all of them, or in file order each by itself."""
    if order is Order.TIME:
        if files:
            yield list(files)
        return
    for file in files:
        yield [file]


def _run(
    parts: Parts, files: list[FileSource], pace: Pace, observer: Observer, report: Report
) -> None:
    """Land and judge one group, side by side."""
    for table in ("clicks", "purchases", "rejected"):
        parts.lake.remove_orphans(table)
    lander = Lander(parts.lake, pace.commit_files)
    detection = Detection(parts.store, parts.detector, files)
    for file in files:
        lander.land_rejected(file)
    start = {f.source: min(lander.position(f), detection.position(f)) for f in files}
    if pace.speed is not None and detection.is_new:
        rehearse(parts.detector, parts.store, lambda events: raw_rows(events, files[0]))
    left = sum(f.end - max(start[f.source], f.events_from) for f in files)
    observer.begin("Landing and judging", left)
    clock = files[0].spool.folder / "clock.json"
    with ExitStack() as stack:
        stack.enter_context(_pausable(pace, clock))
        slices = stack.enter_context(ahead(batches(files, start), 1, "reading"))
        stream = stack.enter_context(ahead(pace.paced(slices, clock), _BATCHES_AHEAD, "pacing"))
        land = stack.enter_context(
            behind(partial(_land, parts, lander, pace), attrgetter("rows"), _ROWS_BEHIND, "landing")
        )
        save = stack.enter_context(
            behind(partial(_save, detection, pace, observer), lambda _: 1, _STEPS_BEHIND, "saving")
        )
        for batch in stream:
            land(batch)
            began = time.perf_counter()
            judged, left = detection.feed(batch), left - batch.rows
            held = detection.judge.log_size
            save(_Step(judged, batch.rows, left, began, batch.promised_us, held))
            observer.advance(batch.rows)
    lander.commit()
    report.late += sum(detection.late_count(file) for file in files)
    with parts.store.begin() as connection:
        for file in files:
            index = file.spool.index
            finish_source(
                connection,
                file.source,
                total_lines=index.rows,
                event_count=index.rows - index.rejected,
                rejected_by_reason=index.reasons,
                late_count=detection.late_count(file),
                events_by_hour=index.hours,
            )


@dataclass(frozen=True)
class _Step:
    """A batch that is judged, to be saved; ``left`` of the files' events are not judged yet."""

    judged: Judged
    rows: int
    left: int
    began: float
    promised_us: int | None
    state_rows: int


def _save(detection: Detection, pace: Pace, observer: Observer, one: _Step) -> None:
    detection.save(one.judged)
    took, behind_seconds = time.perf_counter() - one.began, pace.behind_seconds(one.promised_us)
    observer.saved(Saved(one.rows, one.left, took, behind_seconds, one.state_rows))
    observer.found(one.judged.anomalies)


@contextmanager
def _pausable(pace: Pace, clock: Path) -> Iterator[None]:
    """Interrupted by hand, a paced stream stands still; a death does not stop it."""
    try:
        yield
    except KeyboardInterrupt:
        pace.pause(clock)
        raise


def _land(parts: Parts, lander: Lander, pace: Pace, batch: Batch) -> None:
    lander.land(batch)
    if pace.commit_is_due():
        lander.commit()
        note_lake(parts.store, parts.lake)


def _finish(parts: Parts, files: Sequence[FileSource], observer: Observer, report: Report) -> None:
    """Compute what has changed, and let go of the spool."""
    for file in files:
        index = file.spool.index
        report.files.append(file.path)
        report.lines += index.rows
        report.events[file.kind.name] += index.rows - index.rejected
        report.rejected.update(index.reasons)
    meet_clients(parts.store, parts.engine, parts.detector.shadow_rules)
    due = due_days(parts.store, parts.lake, parts.engine, rules=parts.detector.rules)
    report.days = due.days
    observer.begin("Computing days", len(due.days))
    compute_days(parts.store, parts.engine, parts.metrics, due, observer.advance)
    note_lake(parts.store, parts.lake)
    for file in files:
        file.spool.remove()


def _refuse_too_much(files: Sequence[FileSource], limit: float) -> None:
    for file in files:
        index = file.spool.index
        if index.rows and index.rejected / index.rows > limit:
            raise TooMuchRejectedError(
                f"{file.path}: {index.rejected} of {index.rows} lines were rejected, more than "
                f'{limit:.0%} (GUARDIAN_MAX_REJECTED_RATIO); see `guardian sql "SELECT reason, '
                'count(*) FROM rejected GROUP BY reason"`.'
            )
