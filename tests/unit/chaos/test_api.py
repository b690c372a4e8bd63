"""An answer of the API is fresh, marked stale, refused in form, or wrong."""

from __future__ import annotations

import httpx
import pytest

from clickstream_guardian.chaos.api import ApiLook, Kind, api_verdict, kind_of
from clickstream_guardian.chaos.observe import Sample, away

PROBLEM = {"content-type": "application/problem+json", "retry-after": "5"}
STALE = {"cache-status": "guardian; hit; ttl=-3; detail=stale"}


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (200, {}, Kind.FRESH),
        (200, STALE, Kind.STALE),
        (503, PROBLEM, Kind.REFUSED),
        (503, {"content-type": "application/problem+json"}, Kind.WRONG),
        (503, {"content-type": "text/html", "retry-after": "5"}, Kind.WRONG),
        (500, PROBLEM, Kind.WRONG),
        (404, {}, Kind.WRONG),
    ],
)
def test_an_answer_is_told_by_its_status_and_its_head(
    status: int, headers: dict[str, str], kind: Kind
) -> None:
    assert kind_of(httpx.Response(status, headers=headers)) is kind


def test_answers_are_counted_by_kind_and_the_slowest_is_told() -> None:
    looks = [
        ApiLook(0.0, 0.1, Kind.FRESH),
        ApiLook(1.0, 0.85, Kind.STALE),
        ApiLook(2.0, 1.2, Kind.REFUSED),
        ApiLook(3.0, 0.2, Kind.FRESH),
    ]
    found = api_verdict(looks)
    assert (found.fresh, found.stale, found.refused, found.wrong) == (2, 1, 1, 0)
    assert (found.slowest_seconds, found.within_second_ratio) == (1.2, 0.75)


def test_what_is_answered_without_a_database_and_without_a_mark_is_wrong() -> None:
    samples = [Sample(0.0, 1, 1), Sample(1.0), Sample(1.5), Sample(2.0, 2, 1), Sample(3.0)]
    assert away(samples) == [(1.0, 1.5), (3.0, 3.0)]
    kinds = (Kind.FRESH, Kind.STALE)
    looks = [ApiLook(at, 0.1, kind) for at in (0.95, 1.2, 1.45) for kind in kinds]
    found = api_verdict(looks, away(samples))
    assert (found.fresh, found.stale, found.wrong) == (2, 3, 1)
