"""The rate of a load: what is asked for, or 70 % of what holds here."""

from __future__ import annotations

import json

import pytest

from clickstream_guardian.chaos.load import held_rate, steady_rate, told_rate


@pytest.mark.parametrize(
    ("held", "steady"), [(100_000, 12_000), (17_144, 12_000), (10_000, 7_000), (0.5, 1)]
)
def test_the_load_is_the_lower_of_what_is_asked_and_70_percent_of_what_holds(
    held: float, steady: int
) -> None:
    assert steady_rate(12_000, held) == steady
    assert f"{steady:,} events/s" in told_rate(12_000, held)


def said(seconds: int, event: str, **fields: str) -> str:
    return json.dumps({"at": f"2026-01-01T00:00:{seconds:02}.000Z", "event": event} | fields)


def test_what_holds_is_counted_from_the_first_line_read_to_the_last_event_judged() -> None:
    lines = [
        said(0, "command_started"),
        said(4, "work_started", work="Naming clicks.dat"),
        said(5, "work_started", work="Reading clicks.dat"),
        said(7, "work_started", work="Landing and judging"),
        said(8, "anomaly_found"),
        said(15, "work_started", work="Computing days"),
        said(40, "command_ended"),
    ]
    assert held_rate("\n".join(lines), 50_000) == 5000
    assert held_rate("\n".join([*lines[:5], lines[6]]), 70_000) == 2000
