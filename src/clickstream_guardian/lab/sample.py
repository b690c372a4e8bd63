"""A bounded share of the clean traffic, kept aside so that its calibration can be measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.columns import Clicks, Floats, Ints, Purchases
from clickstream_guardian.lab.days import Day

SAMPLE_SESSIONS = 400_000
WEEK_SESSIONS = 24_500
"""Sessions in the sample of one week: of them about 21,200 have 2 clicks or more."""
_WEEK_DAYS = 8


@dataclass(frozen=True)
class Sample:
    """Whole clean sessions drawn evenly from the days, with all their clicks and purchase lines.

    `filled_from_ms` is the instant from which clicks carry categories.
    """

    clicks: Clicks
    purchases: Purchases
    days: int
    filled_from_ms: int

    @cached_property
    def first(self) -> npt.NDArray[np.intp]:
        """The row of each session's first click."""
        return np.flatnonzero(self.clicks.ordinal == 0)

    @cached_property
    def length(self) -> Ints:
        """Clicks of each session."""
        return np.diff(np.append(self.first, len(self.clicks)))

    @cached_property
    def owner(self) -> Ints:
        """The session (by its index) of each click."""
        return np.cumsum(self.clicks.ordinal == 0) - 1

    @cached_property
    def lines(self) -> Ints:
        """Purchase lines of each session."""
        ids = self.clicks.session_id[self.first]
        order = np.argsort(ids)
        counts = np.zeros(len(ids), dtype=np.int64)
        places = np.searchsorted(ids[order], self.purchases.session_id)
        np.add.at(counts, order[places], 1)
        return counts

    def gaps(self) -> tuple[Floats, npt.NDArray[np.intp]]:
        """Seconds between neighbouring clicks of one session, and the row of the later click."""
        later = np.flatnonzero(self.clicks.ordinal > 0)
        return (self.clicks.at_ms[later] - self.clicks.at_ms[later - 1]) / 1000, later


@dataclass
class Sampler:
    """Collects the two samples while days go by: all days thinly, the first week densely."""

    expected: int
    first_week: int
    days: int
    filled_from_ms: int
    _all: list[tuple[Clicks, Purchases]] = field(default_factory=list)
    _week: list[tuple[Clicks, Purchases]] = field(default_factory=list)

    @classmethod
    def for_plan(cls, plan: tuple[Day, ...], filled_from_ms: int) -> Self:
        """A sampler that ends with the wanted numbers of sessions whatever the plan's size."""
        return cls(
            expected=sum(day.sessions for day in plan),
            first_week=sum(day.sessions for day in plan[:_WEEK_DAYS]),
            days=len(plan),
            filled_from_ms=filled_from_ms,
        )

    def add(self, place: int, clicks: Clicks, purchases: Purchases) -> None:
        """Keep a share of one part of the plan's day number `place`, from 0."""
        self._all.append(_share(clicks, purchases, SAMPLE_SESSIONS / max(1, self.expected)))
        if place < _WEEK_DAYS:
            self._week.append(_share(clicks, purchases, WEEK_SESSIONS / max(1, self.first_week)))

    def samples(self) -> tuple[Sample, Sample]:
        """The sample of all days and the sample of the first week."""
        return self._sample(self._all, self.days), self._sample(self._week, _WEEK_DAYS)

    def _sample(self, parts: list[tuple[Clicks, Purchases]], days: int) -> Sample:
        return Sample(
            clicks=Clicks.join([clicks for clicks, _ in parts]),
            purchases=Purchases.join([purchases for _, purchases in parts]),
            days=min(days, self.days),
            filled_from_ms=self.filled_from_ms,
        )


def _share(clicks: Clicks, purchases: Purchases, share: float) -> tuple[Clicks, Purchases]:
    """The first sessions of the part, which are as good as any: they stand in no order."""
    if share >= 1:
        return clicks, purchases
    first = np.flatnonzero(clicks.ordinal == 0)
    sessions = round(len(first) * share)
    end = int(first[sessions]) if sessions < len(first) else len(clicks)
    kept = clicks.take(np.arange(end))  # a copy: a slice would keep the whole day in memory
    return kept, purchases.take(np.isin(purchases.session_id, kept.session_id))
