"""Where buckets lie."""

from __future__ import annotations

import pytest

from clickstream_guardian.api.parameters import MOST_BUCKETS
from clickstream_guardian.api.timeline import Stretch


@pytest.mark.parametrize(
    ("as_of", "start", "end"),
    [(3600, 3600, 7200), (3599, 0, 3600), (7199, 3600, 7200), (-1, -3600, 0)],
)
def test_the_moment_lies_in_the_last_bucket(as_of: int, start: int, end: int) -> None:
    stretch = Stretch.up_to(as_of, hours=1, bucket=3600)
    assert (stretch.start, stretch.end) == (start, end)


def test_hours_that_are_no_whole_buckets_take_one_more() -> None:
    assert Stretch.up_to(0, hours=25, bucket=86400).count == 2


@pytest.mark.parametrize(
    ("hours", "bucket", "widened"), [(8, 10, 10), (9, 10, 30), (24, 10, 30), (8784, 10, 21600)]
)
def test_too_many_buckets_become_longer_ones(hours: int, bucket: int, widened: int) -> None:
    stretch = Stretch.up_to(0, hours, bucket)
    assert stretch.bucket == widened
    assert stretch.count <= MOST_BUCKETS
