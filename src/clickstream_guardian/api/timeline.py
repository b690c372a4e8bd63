"""Buckets of time: where they lie, and the counts in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pydantic_core

from clickstream_guardian.api.parameters import BUCKET_SECONDS, EPOCH, MOST_BUCKETS


@dataclass(frozen=True)
class Stretch:
    """Buckets that follow each other, aligned to the epoch; all in seconds.

    Attributes:
        start: of the first bucket, since 1970.
        count: how many there are.
        bucket: length of one.
    """

    start: int
    count: int
    bucket: int

    @property
    def end(self) -> int:
        """End of the last bucket (exclusive), in seconds since 1970."""
        return self.start + self.count * self.bucket

    @classmethod
    def up_to(cls, as_of: int, hours: int, bucket: int) -> Stretch:
        """The buckets of the hours up to ``as_of``, which lies in the last one.

        Where they would be more than ``MOST_BUCKETS``, longer buckets are taken.
        """
        seconds = hours * 3600
        fitting = (length for length in BUCKET_SECONDS.values() if length >= bucket)
        bucket = next(length for length in fitting if seconds <= length * MOST_BUCKETS)
        count = -(-seconds // bucket)
        end = (as_of // bucket + 1) * bucket
        return cls(end - count * bucket, count, bucket)


def timeline_json(as_of: int, stretch: Stretch, rows: Iterable[tuple[str, int, int]]) -> bytes:
    """The answer, from counts ``(rule, bucket, count)``."""
    series: dict[str, list[int]] = {}
    totals = [0] * stretch.count
    for rule, bucket, count in rows:
        if rule not in series:
            series[rule] = [0] * stretch.count
        series[rule][bucket] += count
        totals[bucket] += count
    starts = range(stretch.start, stretch.end, stretch.bucket)
    return pydantic_core.to_json(
        {
            "as_of": instant(as_of),
            "start": instant(stretch.start),
            "end": instant(stretch.end),
            "bucket_seconds": stretch.bucket,
            "bucket_starts": [instant(start) for start in starts],
            "totals": totals,
            "series": [{"rule": rule, "counts": counts} for rule, counts in sorted(series.items())],
        }
    )


def instant(seconds: int) -> datetime:
    """Seconds since 1970 as an instant."""
    return EPOCH + timedelta(seconds=seconds)
