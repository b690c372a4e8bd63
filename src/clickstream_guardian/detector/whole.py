"""Rules that are judged on whole windows, once these close: long ones, ordered ones, crowds.

No window of theirs is looked at before its end, so nothing but the log is kept, and the cost of a
call that closes no window is that of an append. Prefilters bound from above how many events a key
can have (repeats only raise the bound), so that few sessions are sorted; the result is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from clickstream_guardian.detector.crowd import blamed_sessions
from clickstream_guardian.detector.evaluate import explanation, instant
from clickstream_guardian.detector.lateness import NEVER
from clickstream_guardian.detector.measures import condition, crossings, measured
from clickstream_guardian.detector.model import SAMPLE_SCHEMA, Anomaly, Sample, Status
from clickstream_guardian.detector.packed import rows_of_busy_sessions
from clickstream_guardian.detector.runs import Ints, Runs
from clickstream_guardian.detector.state import Chunk
from clickstream_guardian.detector.windows import distinct_events, in_windows
from clickstream_guardian.events.identity import SEPARATOR, anomaly_id, id_hex
from clickstream_guardian.rules.model import Rule, Window

_WINDOW = ["session_id", "start"]


@dataclass(frozen=True)
class WholeLog:
    """The events that may lie in an unsettled window (see ``LOG_SCHEMA``)."""

    events: pl.DataFrame

    @cached_property
    def at(self) -> np.ndarray:
        """Their times."""
        return self.events["at"].to_numpy()

    def within(self, rule: Rule, due: np.ndarray, *, coded: bool = False) -> pl.DataFrame:
        """The events from the first due window to the last.

        ``coded`` adds a number for each session and item, which is that of one answer alone.
        """
        begin_us, end_us = int(due[0]), int(due[-1]) + rule.window.size_us
        if not self._is_sorted:
            events = self.events.filter((pl.col("at") >= begin_us) & (pl.col("at") < end_us))
            return _coded(events) if coded else events
        begin, end = map(int, np.searchsorted(self.at, (begin_us, end_us)))
        return self._coded_rows(begin, end) if coded else self.events.slice(begin, end - begin)

    def _coded_rows(self, begin: int, end: int) -> pl.DataFrame:
        """Rows with their numbers; those last made serve for what lies within them."""
        for first, known in self._last_coded:
            if first <= begin and end <= first + len(known):
                return known.slice(begin - first, end - begin)
        coded = _coded(self.events.slice(begin, end - begin))
        self._last_coded[:] = [(begin, coded)]
        return coded

    def panes(self, every_us: int) -> np.ndarray:
        """Starts of the panes of that length in which there is an event."""
        if every_us not in self._panes:
            panes = self.at // every_us
            if self._is_sorted:
                panes = panes[np.flatnonzero(np.diff(panes, prepend=panes[:1] - 1))]
            self._panes[every_us] = np.unique(panes) * every_us
        return self._panes[every_us]

    def busy(self, rule: Rule, due: np.ndarray) -> pl.DataFrame:
        """Distinct events, by window and in order, of sessions with enough of them for the rule.

        Rules with the same windows share them: the same of these are due.
        """
        shared = rule.window, rule.least_events
        if shared not in self._busy:
            rows = rows_of_busy_sessions(rule, self.within(rule, due), due)
            events = in_windows(rule, distinct_events(rows), due)
            self._busy[shared] = events.sort(*_WINDOW, "at", "event_id")
        return self._busy[shared]

    @cached_property
    def _busy(self) -> dict[tuple[Window, int], pl.DataFrame]:
        return {}

    @cached_property
    def _panes(self) -> dict[int, np.ndarray]:
        return {}

    @cached_property
    def _last_coded(self) -> list[tuple[int, pl.DataFrame]]:
        return []

    @cached_property
    def _is_sorted(self) -> bool:
        return bool(np.all(self.at[1:] >= self.at[:-1]))


@dataclass(frozen=True)
class Closing:
    """Which windows a call judges.

    Those that end in (``closed_before_us``, ``closed_us``], and those closed before but after
    ``settled_us`` in which an event of ``fresh`` lies (a partition long silent has spoken again).
    """

    settled_us: int
    closed_before_us: int
    closed_us: int
    fresh: WholeLog


def _coded(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(session=_code("session_id"), item=_code("item_id"))


def _code(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Categorical(pl.Categories.random())).to_physical()


def judge_whole(
    rule: Rule, log: WholeLog, closing: Closing, reported: Mapping[str, Anomaly], sample: int
) -> list[Anomaly]:
    """What is new to say by one rule: anomalies found or changed, and those that hold no more.

    Args:
        rule: one judged at close.
        log: what it is judged on.
        closing: which windows are due.
        reported: what was last said, by anomaly_id.
        sample: events kept as evidence.
    """
    due = _due(rule, log, closing)
    if not len(due):
        return []
    found = list(_anomalies(rule, log, due, sample))
    holds = {anomaly.anomaly_id for anomaly in found}
    judged = {instant(int(start)) for start in due}
    fallen = [
        replace(said, status=Status.WITHDRAWN)
        for identity, said in reported.items()
        if said.rule == rule.name and identity not in holds and said.window_start in judged
    ]
    return [a for a in (*found, *fallen) if reported.get(a.anomaly_id) != a]


def windows_due(rule: Rule, log: Sequence[Chunk], closing: Closing) -> bool:
    """Whether any window of the rule may have to be judged; cheap, and never wrongly no."""
    oldest = min(chunk.oldest_us for chunk in log)
    every, size = rule.window.every_us, rule.window.size_us
    if len(closing.fresh.at) and int(closing.fresh.at.min()) < closing.closed_before_us:
        return True
    since = max(closing.closed_before_us, oldest)
    return (closing.closed_us - size) // every > (since - size) // every


def _due(rule: Rule, log: WholeLog, closing: Closing) -> np.ndarray:
    """Starts of the windows to judge, in order."""
    starts = _starts_of(rule, log)
    ends = starts + rule.window.size_us
    due = (ends > closing.closed_before_us) & (ends <= closing.closed_us)
    if closing.closed_before_us != NEVER and len(closing.fresh.events):
        touched = np.isin(starts, _starts_of(rule, closing.fresh))
        due |= touched & (ends <= closing.closed_us)
    if closing.settled_us != NEVER:
        due &= ends > closing.settled_us
    return np.asarray(starts[due])


def _starts_of(rule: Rule, log: WholeLog) -> np.ndarray:
    every = rule.window.every_us
    return np.unique(log.panes(every)[:, None] - np.arange(rule.window.panes) * every)


def _anomalies(rule: Rule, log: WholeLog, due: np.ndarray, sample: int) -> Iterator[Anomaly]:
    if rule.members is None:
        events = log.busy(rule, due)
        windows = measured(rule.measures, events, _WINDOW).filter(condition(rule.when))
        held = windows.with_columns(key=pl.col("session_id"))
    else:
        rows = log.within(rule, due, coded=rule.key != "site")
        held, events = blamed_sessions(rule, rows, due)
    if held.is_empty():
        return
    chosen = events.join(held.select(_WINDOW).unique(), on=_WINDOW, how="semi").sort(
        *_WINDOW, "at", "event_id"
    )
    runs = Runs.of(chosen, *_WINDOW)
    said = rule.members if rule.members is not None else rule
    crossed = crossings(said.measures, said.when, chosen, runs)
    contents = _Contents(chosen, runs, crossed, sample)
    windows = chosen[runs.starts].select(_WINDOW).with_row_index("place")
    for row in held.join(windows, on=_WINDOW).sort(*_WINDOW, "key").iter_rows(named=True):
        yield _anomaly(rule, row, contents)


class _Contents:
    """The events of windows in which a rule holds, window after window, each in order.

    Samples are cut from a frame of their own: one that is kept would hold all the others' events.

    Args:
        events: see above.
        windows: which of them are a window's.
        crossed: the row with which each window crossed.
        sample: events of a window kept as evidence.
    """

    def __init__(self, events: pl.DataFrame, windows: Runs, crossed: Ints, sample: int) -> None:
        self.sizes = windows.lengths.tolist()
        self.crossed_at = events["at"].gather(crossed).to_list()
        self.crossed_id = events["event_id"].gather(crossed).to_list()
        self._sampled = windows.first(sample)
        self._samples = events.select(SAMPLE_SCHEMA.keys()).filter(windows.rank <= sample)

    def sample(self, window: int) -> Sample:
        begin, size = self._sampled.starts[window], self._sampled.lengths[window]
        return Sample(self._samples.slice(int(begin), int(size)))


def _anomaly(rule: Rule, row: Mapping[str, Any], contents: _Contents) -> Anomaly:
    session_id, start, place = row["session_id"], row["start"], row["place"]
    measures = {name: row[name] for name in rule.measures}
    named = session_id if rule.members is None else f"{row['key']}{SEPARATOR}{session_id}"
    return Anomaly(
        anomaly_id=anomaly_id(rule.name, rule.version, named, start),
        rule=rule.name,
        rule_version=rule.version,
        severity=rule.severity.label,
        session_id=session_id,
        window_start=instant(start),
        window_end=instant(start + rule.window.size_us),
        status=Status.FINAL,
        measures=measures,
        thresholds=rule.thresholds,
        event_count=contents.sizes[place],
        first_crossed_at=instant(contents.crossed_at[place]),
        crossed_event_id=id_hex(contents.crossed_id[place]),
        explanation=explanation(rule, measures, row["key"]),
        sample=contents.sample(place),
    )
