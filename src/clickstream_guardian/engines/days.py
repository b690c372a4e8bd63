"""What every host of the metrics takes and gives: UTC days in, rows by metric out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

import pyarrow as pa

from clickstream_guardian.errors import UsageError
from clickstream_guardian.metrics.model import Metric


@dataclass(frozen=True)
class ComputedDays:
    """The numbers of some days, by metric name, in no order.

    Attributes:
        rows: raw, in the metric's columns.
        deltas: what leaving out blamed sessions changes, by rule (``clean.delta_columns``).
        excluded: the blamed sessions that have an event on the days (``clean.EXCLUDED_SCHEMA``).
    """

    dts: tuple[str, ...]
    rows: Mapping[str, pa.Table]
    deltas: Mapping[str, pa.Table]
    excluded: pa.Table


class MetricEngine(Protocol):
    """A host of the metrics, embedded or on a cluster."""

    def compute_days(
        self, metrics: Sequence[Metric], dts: Iterable[str], blamed: pa.Table | None = None
    ) -> Iterator[ComputedDays]:
        """The numbers of these days, some days at a time, in the order of the days.

        A day without events has the rows that the metrics give for one (zeros, or none).

        Args:
            metrics: which.
            dts: UTC days, YYYY-MM-DD.
            blamed: the sessions that clean numbers leave out (``clean.BLAMED_SCHEMA``).

        Raises:
            UsageError: a day is no date.
            GuardianError: the engine cannot compute it.
        """

    def find_days(self, sessions: Sequence[str], besides: Iterable[str] = ()) -> pa.Table:
        """On which days sessions have an event: ``dt`` and ``session_id``.

        Args:
            sessions: whose days.
            besides: days not to be looked at.

        Raises:
            GuardianError: the engine cannot tell.
        """

    def find_clients(self, sessions: Sequence[str], first: date, last: date) -> pa.Table:
        """Who sessions come from, as their events say: ``session_id``, ``user_id``, ``ip``.

        Args:
            sessions: of whom.
            first: the first day to look at; ``last`` the last.

        Returns:
            One row for each different one; of a session without an event on the days there is none.

        Raises:
            GuardianError: the engine cannot tell.
        """


def parse_day(dt: str) -> date:
    """A UTC day from YYYY-MM-DD.

    Raises:
        UsageError: it is no such date.
    """
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", dt):
            raise ValueError(dt)
        return date.fromisoformat(dt)
    except ValueError as error:
        raise UsageError(f"{dt!r} is no day; write one as 2014-04-07.") from error


def days_between(dt_from: str, dt_to: str) -> tuple[str, ...]:
    """The days from ``dt_from`` to ``dt_to``, both included.

    Raises:
        UsageError: one is no date, or the first comes after the last.
    """
    first, last = parse_day(dt_from), parse_day(dt_to)
    if first > last:
        raise UsageError(f"The range from {dt_from} to {dt_to} holds no day; swap its ends.")
    return tuple(
        (first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)
    )
