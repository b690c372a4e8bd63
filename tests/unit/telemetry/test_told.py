"""What is told once, in bounded room."""

from __future__ import annotations

from clickstream_guardian.telemetry.told import Told


def test_an_id_is_new_once_and_those_told_last_are_remembered() -> None:
    told = Told(most=2)
    assert [told.is_new(one) for one in "aabb"] == [True, False, True, False]
    assert told.is_new("a") is False  # and so the one told last
    assert [told.is_new(one) for one in "cab"] == [True, False, True]
