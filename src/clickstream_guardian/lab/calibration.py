"""How near the generated traffic is to the data set: every number beside target and tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.columns import Bools, Floats, Ints
from clickstream_guardian.lab.days import DAY_MS
from clickstream_guardian.lab.parameters import Parameters
from clickstream_guardian.lab.sample import Sample

_FEW, _MANY, _EIGHT_WEEKS = 20_000, 100_000, 56
_HOUR_MS = 3_600_000
_WEEKDAY_OF_1970 = 3  # 1 January 1970 was a Thursday


@dataclass(frozen=True)
class CalibrationRow:
    """One number of the traffic beside what it should be.

    `ok` is None where the sample is too small or too short to judge; `note` says why.
    """

    metric: str
    target: float
    tolerance: str
    low: float
    high: float
    measured: float | None
    ok: bool | None
    note: str = ""


@dataclass(frozen=True)
class _Judge:
    """Makes rows of one sample, judged if the sample is large and long enough."""

    sessions: int
    days: int

    def row(
        self,
        metric: str,
        target: float,
        tolerance: str,
        measured: float | None,
        *,
        sessions: int = _FEW,
        days: int = 1,
    ) -> CalibrationRow:
        low, high = bounds(target, tolerance)
        note = ""
        if self.sessions < sessions:
            note = f"needs {sessions:,} sessions, has {self.sessions:,}"
        elif self.days < days:
            note = f"needs {days} days, has {self.days}"
        elif measured is None:
            note = "nothing to measure on these days"
        ok = None if note or measured is None else low <= measured <= high
        return CalibrationRow(metric, target, tolerance, low, high, measured, ok, note)


def bounds(target: float, tolerance: str) -> tuple[float, float]:
    """The range that a tolerance such as `±8 %`, `±0.01`, `×/÷ 1.5` or `<= 12` allows."""
    sign, _, number = tolerance.partition(" ")
    if sign == "<=":
        return 0.0, float(number)
    if sign == ">=":
        return float(number), float("inf")
    if sign == "×/÷":
        return target / float(number), target * float(number)
    width = float(sign[1:]) / 100 * target if number == "%" else float(sign[1:])
    return target - width, target + width


def measure_calibration(
    parameters: Parameters, everything: Sample, week: Sample
) -> tuple[CalibrationRow, ...]:
    """Every row of the calibration, from a sample of all days and a sample of one week."""
    judge = _Judge(len(everything.first), everything.days)
    week_judge = _Judge(len(week.first), week.days)
    return (
        *_length_rows(judge, everything.length),
        *_dwell_rows(judge, everything.gaps()[0]),
        *_clock_rows(judge, parameters, everything),
        *_buyer_rows(judge, everything),
        *_hourly_buyer_rows(judge, parameters, everything),
        *_basket_rows(judge, everything),
        *_walk_rows(judge, everything),
        *_concentration_rows(week_judge, week),
        *_burst_rows(week_judge, week),
    )


def _length_rows(judge: _Judge, length: Ints) -> Iterator[CalibrationRow]:
    yield judge.row("session length, mean", 3.568, "±2 %", _of(length, np.mean))
    for clicks, share in ((1, 0.136), (2, 0.385), (3, 0.175)):
        yield judge.row(f"sessions of {clicks} clicks", share, "±0.01", _mean(length == clicks))
    yield judge.row("sessions over 10 clicks", 0.0389, "±8 %", _mean(length > 10))
    yield judge.row("sessions over 50 clicks", 0.00052, "±30 %", _mean(length > 50), sessions=_MANY)
    yield judge.row("session length, max", 200, "<= 200", _of(length, np.max))


def _dwell_rows(judge: _Judge, gaps: Floats) -> Iterator[CalibrationRow]:
    yield judge.row("dwell median, s", 55, "±5 %", _of(gaps, np.median))
    yield judge.row("dwell mean, s", 144, "±8 %", _of(gaps, np.mean))
    yield judge.row(
        "dwell p90, s", 296, "±10 %", _of(gaps, lambda values: np.quantile(values, 0.9))
    )
    yield judge.row(
        "dwell p99, s", 1714, "±25 %", _of(gaps, lambda values: np.quantile(values, 0.99))
    )
    yield judge.row("dwell under 1 s", 0.013, "±0.008", _mean(gaps < 1))
    yield judge.row("dwell max, s", 3600, "<= 3599.999", _of(gaps, np.max))


def _clock_rows(judge: _Judge, parameters: Parameters, sample: Sample) -> Iterator[CalibrationRow]:
    arrivals = parameters.arrivals
    starts = sample.clicks.at_ms[sample.first]
    hours = np.bincount(_hour(starts), minlength=24)
    weekday = (starts // DAY_MS + _WEEKDAY_OF_1970) % 7
    weekdays = np.bincount(weekday, minlength=7)
    yield judge.row(
        "hour shares, total variation", 0, "<= 0.02", _variation(hours, arrivals.hour_share)
    )
    yield judge.row(
        "weekday shares, total variation",
        0,
        "<= 0.03",
        _variation(weekdays, arrivals.weekday_share),
        days=_EIGHT_WEEKS,
    )


_BUYERS_BY_LENGTH = (
    ("1 click", 1, 1, 0.0178),
    ("2 clicks", 2, 2, 0.0309),
    ("3 to 4 clicks", 3, 4, 0.0514),
    ("5 to 9 clicks", 5, 9, 0.1035),
    ("10 to 19 clicks", 10, 19, 0.2032),
    ("20 or more clicks", 20, 200, 0.2809),
)


def _buyer_rows(judge: _Judge, sample: Sample) -> Iterator[CalibrationRow]:
    buys, length = sample.lines > 0, sample.length
    yield judge.row(
        "buying sessions", 0.0551, "±3 %", _mean(buys), sessions=_MANY, days=_EIGHT_WEEKS
    )
    for name, low, high, target in _BUYERS_BY_LENGTH:
        rate = _mean(buys[(length >= low) & (length <= high)])
        yield judge.row(
            f"buyers of {name}", target, "±10 %", rate, sessions=_MANY, days=_EIGHT_WEEKS
        )


def _hourly_buyer_rows(
    judge: _Judge, parameters: Parameters, sample: Sample
) -> Iterator[CalibrationRow]:
    hour = _hour(sample.clicks.at_ms[sample.first])
    rates = np.array([_mean(sample.lines[hour == h] > 0) or 0.0 for h in range(24)])
    order = np.corrcoef(_ranks(rates), _ranks(np.array(parameters.arrivals.hour_buy_rate)))[0, 1]
    yield judge.row("buy rate by hour, rank correlation", 1, ">= 0.9", float(order), sessions=_MANY)


def _basket_rows(judge: _Judge, sample: Sample) -> Iterator[CalibrationRow]:
    purchases = sample.purchases
    pair = purchases.session_id * 1_000_000 + purchases.item
    distinct = np.unique(np.unique(pair) // 1_000_000, return_counts=True)[1]
    lines = len(purchases) / max(1, len(distinct))
    unknown = (purchases.price == 0) & (purchases.quantity == 0)
    yield judge.row("buyers of one distinct item", 0.51, "±0.03", _mean(distinct == 1))
    yield judge.row("purchase lines per buyer", 2.26, "±5 %", lines)
    yield judge.row("lines of unknown price", 0.53, "±0.02", _mean(unknown))


def _walk_rows(judge: _Judge, sample: Sample) -> Iterator[CalibrationRow]:
    clicks, owner = sample.clicks, sample.owner
    later = np.flatnonzero(clicks.ordinal > 0)
    same = clicks.item[later] == clicks.item[later - 1]
    pair = owner * 1_000_000 + clicks.item
    first_seen = np.zeros(len(pair), dtype=np.bool_)
    first_seen[np.unique(pair, return_index=True)[1]] = True
    filled = later[clicks.at_ms[later - 1] >= sample.filled_from_ms]
    stays = clicks.category[filled] == clicks.category[filled - 1]
    yield judge.row("next click on the same item", 0.26, "±0.03", _mean(same))
    yield judge.row("next click on an item seen before", 0.36, "±0.03", _mean(~first_seen[later]))
    yield judge.row("next click in the same category", 0.82, "±0.03", _mean(stays))


def _concentration_rows(judge: _Judge, week: Sample) -> Iterator[CalibrationRow]:
    """As in the real sample of one week: sessions of 2 clicks or more, items clicked 5 times."""
    item = week.clicks.item[np.repeat(week.length >= 2, week.length)]
    counts = np.sort(np.bincount(item))[::-1]
    counts = counts[counts >= 5]
    shares = np.cumsum(counts) / max(1, counts.sum())
    for top, target, tolerance in (
        (1, 0.011, "×/÷ 1.5"),
        (100, 0.36, "±0.06"),
        (1000, 0.83, "±0.06"),
    ):
        share = float(shares[min(top, len(shares)) - 1]) if len(shares) else None
        name = "item" if top == 1 else f"{top:,} items"
        yield judge.row(f"one week: clicks on the top {name}", target, tolerance, share)


def _burst_rows(judge: _Judge, week: Sample) -> Iterator[CalibrationRow]:
    """Most clicks of a session in a sliding window, over sessions of 2 clicks or more."""
    length = week.length
    for seconds, near, high, width, limit in ((10, 4, 9, 1, 12), (60, 8, 18, 2, 25)):
        most = _most_in_window(week, seconds * 1000)[length >= 2]
        p999 = _of(most, lambda values: np.quantile(values, 0.999))
        yield judge.row(f"clicks in {seconds} s, p99.9", near, f"±{width}", p999)
        yield judge.row(f"clicks in {seconds} s, max", high, f"<= {limit}", _of(most, np.max))


def _most_in_window(sample: Sample, window_ms: int) -> Ints:
    """For each session the most clicks that lie within one window of this length."""
    at, owner = sample.clicks.at_ms, sample.owner
    if not len(at):
        return np.empty(0, dtype=np.int64)
    elapsed = at - at[sample.first][owner]
    key = owner * (1 << 34) + elapsed
    in_window = np.searchsorted(key, key + window_ms, "left") - np.arange(len(key))
    return np.maximum.reduceat(in_window, sample.first)


def _mean(flags: Bools) -> float | None:
    return _of(flags, np.mean)


def _of(values: npt.NDArray[Any], function: Callable[[npt.NDArray[Any]], Any]) -> float | None:
    return float(function(values)) if len(values) else None


def _hour(at_ms: Ints) -> Ints:
    return at_ms % DAY_MS // _HOUR_MS


def _ranks(values: Floats) -> Floats:
    return np.argsort(np.argsort(values)).astype(np.float64)


def _variation(counts: npt.NDArray[np.intp], shares: tuple[float, ...]) -> float:
    target = np.array(shares) / sum(shares)
    return float(np.abs(counts / max(1, counts.sum()) - target).sum() / 2)
