"""The plan of the days: how many sessions each has, and its own random streams.

A day depends on the seed, its date and the parameters only, never on the range it is asked in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum

import numpy as np

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.columns import Floats
from clickstream_guardian.lab.parameters import Arrivals

DAY_MS = 86_400_000
PART_SESSIONS = 120_000
SLOTS = 160_000  # session ids of one part of a day; more than its sessions can ever be
_FIRST_ID = 1_000
_CYCLE_WEEKS = 5_200
_EPOCH = date(1970, 1, 1)
_ORIGIN = date(2014, 3, 31)  # a Monday; weeks are counted from here


class Stream(IntEnum):
    """The independent random streams of one part of a day."""

    SESSIONS = 0
    IDS = 1
    PEOPLE = 2
    PURCHASES = 3
    ATTACKS = 4
    CLICK_ARRIVAL = 5
    PURCHASE_ARRIVAL = 6


@dataclass(frozen=True)
class Day:
    """One part of one UTC day: its clean sessions and how ready its people are to buy.

    A day has several parts only where it is too large to be held in memory at once.
    `buy_factor` is the share of buyers beside that of all days.
    """

    seed: int
    day: date
    sessions: int
    buy_factor: float
    part: int = 0
    parts: int = 1

    @property
    def start_ms(self) -> int:
        """Midnight (UTC) in milliseconds since 1970."""
        return midnight_ms(self.day)

    @property
    def week(self) -> int:
        """Weeks since the one that holds 1 April 2014; negative before it."""
        return (self.day - _ORIGIN).days // 7

    @property
    def first_id(self) -> int:
        """The least session id of this day; the next one of the same day is 7 higher."""
        block = (self.week % _CYCLE_WEEKS) * self.parts + self.part
        return _FIRST_ID + block * 7 * SLOTS + self.day.weekday()

    def stream(self, purpose: Stream) -> np.random.Generator:
        """The random numbers of this part of the day for one purpose."""
        return _stream(self.seed, self.day, self.part, purpose)


def _stream(seed: int, day: date, part: int, purpose: Stream) -> np.random.Generator:
    key = (day.toordinal(), part, int(purpose))
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def midnight_ms(day: date) -> int:
    """The beginning of a UTC day in milliseconds since 1970."""
    return (day - _EPOCH).days * DAY_MS


def plan_days(
    arrivals: Arrivals,
    first: date,
    last: date,
    *,
    seed: int,
    sessions: int | None = None,
    scale: float = 1.0,
    outages: Collection[date] = (),
) -> tuple[Day, ...]:
    """The days from first to last (inclusive), whole, each with its number of clean sessions.

    Args:
        arrivals: The daily series and the weekday model.
        first: The first day (UTC).
        last: The last day (UTC).
        seed: Makes every number; not negative.
        sessions: Clean sessions of all days together; without it they follow from the scale.
        scale: 1 is the traffic of the data set, about 50,000 sessions a day.
        outages: Days on which nearly nothing arrives.

    Raises:
        UsageError: The days, the seed, the scale or the number of sessions make no sense.
    """
    _check(first, last, seed, sessions, scale)
    span = (last - first).days + 1
    days = [first + timedelta(days=n) for n in range(span)]
    model = [_expected(arrivals, seed, day, day in outages) for day in days]
    rates = np.array([rate for rate, _ in model])
    counts = _counts(days, rates, seed, sessions, scale)
    ceiling = max(arrivals.daily_sessions) * scale if sessions is None else max(counts)
    parts = max(1, int(np.ceil(ceiling / PART_SESSIONS)))
    return tuple(
        Day(seed, day, count, buy_factor, parts=parts)
        for day, count, (_, buy_factor) in zip(days, counts, model, strict=True)
    )


def weeks(days: Collection[Day]) -> Iterator[tuple[Day, ...]]:
    """The plan in blocks that fit in memory: the days of one week, one part after the other."""
    by_week: dict[int, list[Day]] = {}
    for day in days:
        by_week.setdefault(day.week, []).append(day)
    for block in by_week.values():
        for number in range(block[0].parts):
            yield tuple(_part(day, number) for day in block)


def parts(day: Day) -> tuple[Day, ...]:
    """A whole day as its parts."""
    return tuple(_part(day, number) for number in range(day.parts))


def _part(day: Day, number: int) -> Day:
    share, rest = divmod(day.sessions, day.parts)
    return replace(day, part=number, sessions=share + (number < rest))


def _check(first: date, last: date, seed: int, sessions: int | None, scale: float) -> None:
    if first > last:
        raise UsageError(f"The days {first}..{last} run backwards; write the earlier day first.")
    if (last - first).days >= 7 * _CYCLE_WEEKS:
        raise UsageError(f"The days {first}..{last} span over 99 years; ask for fewer.")
    if seed < 0:
        raise UsageError(f"The seed {seed} is negative; use 0 or a positive whole number.")
    if sessions is not None and scale != 1.0:
        raise UsageError(f"Both sessions {sessions} and scale {scale} are given; give one of them.")
    if sessions is not None and sessions < 1:
        raise UsageError(f"The number of sessions is {sessions}; ask for at least 1.")
    if not 0 < scale <= 1_000:
        raise UsageError(f"The scale is {scale}; use a number above 0 and up to 1000.")


def _expected(arrivals: Arrivals, seed: int, day: date, outage: bool) -> tuple[float, float]:
    """Expected sessions at scale 1 and the buy factor of one day."""
    place = (day - arrivals.first_day).days
    mean_rate = np.average(arrivals.daily_buy_rate, weights=arrivals.daily_sessions)
    if 0 <= place < len(arrivals.daily_sessions):
        level = arrivals.total_sessions / sum(arrivals.daily_sessions)
        sessions = arrivals.daily_sessions[place] * level
        buy_factor = arrivals.daily_buy_rate[place] / mean_rate
    else:
        shares = np.array(arrivals.weekday_share)
        noise = _stream(seed, day, 0, Stream.SESSIONS).standard_normal()
        sessions = arrivals.level_sessions * 7 * shares[day.weekday()] / shares.sum()
        sessions *= np.exp(arrivals.noise_sigma * np.clip(noise, -2, 2))
        buy_factor = arrivals.weekday_buy_rate[day.weekday()] / mean_rate
    if outage:
        sessions *= arrivals.outage_sessions_factor
        buy_factor *= arrivals.outage_buy_factor
    return float(sessions), float(buy_factor)


def _counts(
    days: list[date], rates: Floats, seed: int, sessions: int | None, scale: float
) -> list[int]:
    """Sessions of each day: as many as asked for in all, or by chance around the expected."""
    if sessions is None:
        pairs = zip(days, rates * scale, strict=True)
        return [int(_stream(seed, day, 1, Stream.SESSIONS).poisson(rate)) for day, rate in pairs]
    if rates.sum() <= 0:
        raise UsageError(f"The days {days[0]}..{days[-1]} have no traffic; ask for others.")
    generator = _stream(seed, days[0], 1, Stream.SESSIONS)
    return [int(count) for count in generator.multinomial(sessions, rates / rates.sum())]
