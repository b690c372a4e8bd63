"""A person's clicks in time: when a session begins, how long it is, how long each page is read."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.columns import Floats, Index, Ints
from clickstream_guardian.lab.days import Day
from clickstream_guardian.lab.parameters import Arrivals, Visits

_HOUR_MS = 3_600_000
_CELLS = 4_096
_REACH = 5.25  # the dwell table covers this many standard deviations to each side


@dataclass(frozen=True)
class Sessions:
    """The sessions of one part of a day, and the click rows they fill.

    `first` is the row of a session's first click, `owner` the session of each row, `ordinal`
    a row's place in its session from 0.
    """

    length: npt.NDArray[np.int32]
    hour: npt.NDArray[np.intp]
    start_ms: Ints
    first: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]
    ordinal: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Clock:
    """The laws of session starts, lengths and dwell times, as tables to draw from."""

    hours: Floats
    lengths: Floats
    dwell_ms: Floats
    session_deviation: float
    own_deviation: float
    pace_by_length: npt.NDArray[np.float32]

    def draw_sessions(self, generator: np.random.Generator, day: Day) -> Sessions:
        """As many sessions as the day has, in no order of time."""
        count = day.sessions
        hour = np.searchsorted(self.hours, generator.random(count), "right")
        within = generator.integers(0, _HOUR_MS, count)
        length = np.searchsorted(self.lengths, generator.random(count), "right") + 1
        first = np.cumsum(length) - length
        owner = np.repeat(np.arange(count, dtype=np.int32), length)
        return Sessions(
            length=length.astype(np.int32),
            hour=hour,
            start_ms=day.start_ms + hour * _HOUR_MS + within,
            first=first.astype(np.int32),
            owner=owner,
            ordinal=np.arange(len(owner), dtype=np.int32) - first[owner].astype(np.int32),
        )

    def draw_instants(self, generator: np.random.Generator, sessions: Sessions) -> Ints:
        """The instant of every click (ms since 1970), rising inside each session.

        People differ in pace, and who looks at much looks faster; the rest is chance.
        """
        pace = generator.standard_normal(len(sessions.length), dtype=np.float32)
        pace *= np.float32(self.session_deviation)
        pace += self.pace_by_length[sessions.length - 1]
        score = generator.standard_normal(len(sessions.owner), dtype=np.float32)
        score *= np.float32(self.own_deviation)
        score += pace[sessions.owner]
        gaps = self._dwell(score)
        gaps[sessions.first] = 0
        running = np.cumsum(gaps)
        offset = sessions.start_ms - running[sessions.first]
        return running + offset[sessions.owner]

    def _dwell(self, score: npt.NDArray[np.float32]) -> Ints:
        """Milliseconds for a standard normal score: a straight line between table cells."""
        cell = (score + np.float32(_REACH)) * np.float32(_CELLS / (2 * _REACH))
        np.clip(cell, 0, _CELLS - 1e-3, out=cell)
        low = cell.astype(np.int32)
        step = np.diff(self.dwell_ms)
        return (self.dwell_ms[low] + (cell - low) * step[low]).astype(np.int64)


def build_clock(arrivals: Arrivals, visits: Visits) -> Clock:
    """The tables that the parameters describe."""
    normal = NormalDist()
    limit = normal.cdf(-_REACH)
    scores = [normal.inv_cdf(min(max(p, limit), 1 - limit)) for p in visits.dwell_probability]
    grid = np.linspace(-_REACH, _REACH, _CELLS + 1)
    seconds = np.exp(np.interp(grid, scores, np.log(visits.dwell_seconds)))
    pace, spread = _pace_by_length(visits)
    return Clock(
        hours=running_shares(arrivals.hour_share),
        lengths=running_shares(visits.length_sessions),
        dwell_ms=np.rint(seconds * 1000),
        session_deviation=float(np.sqrt(visits.dwell_session_share * (1 - spread))),
        own_deviation=float(np.sqrt((1 - visits.dwell_session_share) * (1 - spread))),
        pace_by_length=pace.astype(np.float32),
    )


def _pace_by_length(visits: Visits) -> tuple[Floats, float]:
    """The shift of the dwell score for each length, and its variance over all gaps."""
    lengths = np.arange(1, len(visits.length_sessions) + 1)
    gaps = np.array(visits.length_sessions) * (lengths - 1)
    away = np.log(lengths) - np.average(np.log(lengths), weights=gaps)
    shift = -visits.dwell_length_slope * away
    return shift, float(np.average(shift**2, weights=gaps))


def running_shares(weights: tuple[float, ...] | Floats) -> Floats:
    """Running sums of the weights, ending in exactly 1: search a uniform number in them."""
    running: Floats = np.cumsum(weights, dtype=np.float64)
    running /= running[-1]
    running[-1] = 1.0
    return running


def pick(shares: Floats, uniform: Floats) -> Index:
    """The index drawn by each uniform number from running shares."""
    return np.searchsorted(shares, uniform, "right")
