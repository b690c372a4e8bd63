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


def timeline_json(
    as_of: int, stretch: Stretch, rows: Iterable[tuple[str, list[int], list[int]]]
) -> bytes:
    """The answer, from the counts of each rule's buckets ``(rule, buckets, counts)``."""
    series = []
    totals = [0] * stretch.count
    for rule, buckets, found in sorted(rows):
        counts = [0] * stretch.count
        for bucket, count in zip(buckets, found, strict=True):
            counts[bucket] = count
            totals[bucket] += count
        series.append({"rule": rule, "counts": counts})
    starts = range(stretch.start, stretch.end, stretch.bucket)
    return pydantic_core.to_json(
        {
            "as_of": instant(as_of),
            "start": instant(stretch.start),
            "end": instant(stretch.end),
            "bucket_seconds": stretch.bucket,
            "bucket_starts": [instant(start) for start in starts],
            "totals": totals,
            "series": series,
        }
    )


def instant(seconds: int) -> datetime:
    """Seconds since 1970 as an instant."""
    return EPOCH + timedelta(seconds=seconds)
