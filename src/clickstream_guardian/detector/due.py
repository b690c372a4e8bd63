"""Which windows of the running rules are to be judged now.

Few sessions are busy, so these are many small tables; they are counted in arrays, once for all the
rules that share a window, because a call of Polars costs more than the counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from clickstream_guardian.detector.runs import Ints
from clickstream_guardian.rules.model import Rule, Window

DUE_SCHEMA: dict[str, pl.DataType] = {
    "session_id": pl.String(),
    "start": pl.Int64(),
    "events": pl.Int64(),
    "earliest": pl.Int64(),
}
_NOTHING = pl.DataFrame(schema=DUE_SCHEMA)
NEVER_TOUCHED = np.iinfo(np.int64).max
"""Later than any event."""


@dataclass(frozen=True)
class Span:
    """Which windows to judge: those that end after ``settled_us`` and are touched or closing.

    ``touched`` holds (session_id, pane, earliest) of what is new, ``earliest`` being its first
    time; a window is closing when its end lies in (``closed_before_us``, ``closed_us``].
    """

    settled_us: int
    closed_before_us: int
    closed_us: int
    touched: pl.DataFrame


def judged_windows(
    rules: Sequence[Rule], counts: pl.DataFrame, span: Span
) -> dict[str, pl.DataFrame]:
    """By rule the windows to judge that have enough events, with the columns of ``DUE_SCHEMA``.

    ``earliest`` is the time of the first event that is new in them, or ``NEVER_TOUCHED``.

    Args:
        rules: running ones.
        counts: (session_id, pane, n) of everything that may lie in such a window.
        span: which.
    """
    sessions = pl.concat([counts["session_id"], span.touched["session_id"]])
    codes = sessions.rank("dense").to_numpy().astype(np.int64)
    held = _Panes(codes[: len(counts)], counts["pane"].to_numpy(), counts["n"].to_numpy())
    new = _Panes(
        codes[len(counts) :], span.touched["pane"].to_numpy(), span.touched["earliest"].to_numpy()
    )
    place = np.empty(len(codes) + 1, dtype=np.int64)
    place[codes] = np.arange(len(codes))
    found: dict[str, pl.DataFrame] = {}
    for window in {rule.window for rule in rules}:
        due = _due(window, held, new, span)
        for rule in rules:
            if rule.window == window:
                found[rule.name] = due.of_least(rule.least_events).named(sessions, place)
    return found


@dataclass(frozen=True)
class _Panes:
    """A value per session (as a code) and pane, or per session and window start."""

    session: Ints
    start: Ints
    value: Ints

    def in_windows(self, window: Window, after_us: int, reduce: np.ufunc) -> Self:
        """The values of all panes of each window, reduced; windows that end later, in order."""
        last = self.start // window.every_us * window.every_us
        start = np.concatenate([last - k * window.every_us for k in range(window.panes)])
        later = start + window.size_us > after_us
        start = start[later]
        session, value = (
            np.tile(column, window.panes)[later] for column in (self.session, self.value)
        )
        if not len(start):
            return type(self)(session, start, value)
        order = np.lexsort((start, session))
        session, start, value = session[order], start[order], value[order]
        differs = (session[1:] != session[:-1]) | (start[1:] != start[:-1])
        begins = np.flatnonzero(np.concatenate([[True], differs]))
        return type(self)(session[begins], start[begins], reduce.reduceat(value, begins))


@dataclass(frozen=True)
class _Due:
    """Windows to judge, as parallel arrays."""

    session: Ints
    start: Ints
    events: Ints
    earliest: Ints

    def of_least(self, events: int) -> Self:
        """Those with so many events or more."""
        return self.where(self.events >= events)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Some of them."""
        return type(self)(
            self.session[chosen], self.start[chosen], self.events[chosen], self.earliest[chosen]
        )

    def named(self, sessions: pl.Series, place: Ints) -> pl.DataFrame:
        """As a table, with the sessions' own names; ``place`` tells where a code's name stands."""
        if not len(self.session):
            return _NOTHING
        return pl.DataFrame(
            {
                "session_id": sessions.gather(place[self.session]),
                "start": self.start,
                "events": self.events,
                "earliest": self.earliest,
            }
        )


def _due(window: Window, held: _Panes, new: _Panes, span: Span) -> _Due:
    windows = held.in_windows(window, span.settled_us, np.add)
    touched = new.in_windows(window, span.settled_us, np.minimum)
    end = windows.start + window.size_us
    closing = (end > span.closed_before_us) & (end <= span.closed_us)
    earliest = np.full(len(end), NEVER_TOUCHED)
    earliest[_places(touched, windows)] = touched.value
    chosen = closing | (earliest != NEVER_TOUCHED)
    return _Due(windows.session, windows.start, windows.value, earliest).where(chosen)


def _places(some: _Panes, of: _Panes) -> Ints:
    """Where the windows of ``some`` stand among others, which hold them all; both in order."""
    both = np.lexsort(
        (
            np.repeat([0, 1], [len(of.start), len(some.start)]),
            np.concatenate([of.start, some.start]),
            np.concatenate([of.session, some.session]),
        )
    )
    is_some = both >= len(of.start)
    return np.flatnonzero(is_some) - np.arange(1, is_some.sum() + 1)
