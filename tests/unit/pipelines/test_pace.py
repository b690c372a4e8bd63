"""Events are handed over when their time has come, each once, whoever falls behind."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.pipelines.pace import Pace
from clickstream_guardian.sources.replay import Batch, FileSource, batches
from clickstream_guardian.sources.spool import Order, build_spool
from clickstream_guardian.sources.stream_clock import StreamClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that moves when somebody sleeps, or works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def stream(folder: Path, seconds: list[float], order: Order = Order.TIME) -> list[Batch]:
    lines = [f"s,2014-04-07T10:00:{at:06.3f}Z,{n},0\n" for n, at in enumerate(seconds)]
    path = folder / "c.dat"
    path.write_text("".join(lines))
    spool = build_spool(folder / f"spool-{order}", path, CLICK, order, NOW)
    return list(batches([FileSource("f", path, CLICK, NOW, spool)], {}))


def handed(
    pace: Pace, clock: Clock, stream: list[Batch], work: float = 0
) -> list[tuple[float, int]]:
    seen = []
    for batch in pace.paced(iter(stream)):
        if batch.rows:
            seen.append((round(clock.now - 100, 3), batch.rows))
        clock.now += work
    return seen


def test_an_event_comes_no_sooner_than_its_time(tmp_path: Path) -> None:
    clock = Clock()
    pace = Pace(1.0, clock, clock.sleep)
    seen = handed(pace, clock, stream(tmp_path, [0, 0.05, 1, 20]))
    assert seen == [(0.1, 2), (1.1, 1), (20.1, 1)]


def test_a_tenfold_speed_takes_a_tenth_of_the_time(tmp_path: Path) -> None:
    clock = Clock()
    seen = handed(Pace(10.0, clock, clock.sleep), clock, stream(tmp_path, [0, 20]))
    assert seen == [(0.1, 1), (2.1, 1)]


def test_who_falls_behind_gets_what_is_due_in_one_piece(tmp_path: Path) -> None:
    clock = Clock()
    pace = Pace(1.0, clock, clock.sleep)
    seen = handed(pace, clock, stream(tmp_path, [n / 10 for n in range(40)]), work=1.0)
    assert sum(rows for _, rows in seen) == 40
    assert len(seen) <= 6


def test_every_event_is_handed_over_once_with_its_position(tmp_path: Path) -> None:
    clock = Clock()
    pace = Pace(1.0, clock, clock.sleep)
    made = stream(tmp_path, [3, 1, 2, 9, 4], Order.FILE)
    parts = [part for batch in pace.paced(iter(made)) for part in batch.parts]
    offsets = [o for part in parts if len(part.events) for o in part.events["offset"]]
    assert offsets == [0, 1, 2, 3, 4]
    assert parts[-1].next_offset == 5
    assert parts[-1].ended


def test_a_promise_is_kept_by_every_later_piece(tmp_path: Path) -> None:
    clock = Clock()
    pace = Pace(1.0, clock, clock.sleep)
    promised = None
    for batch in pace.paced(iter(stream(tmp_path, [0, 0.5, 3, 3.05]))):
        for part in batch.parts:
            times = part.events["occurred_at"].to_physical() if len(part.events) else []
            assert all(promised is None or at >= promised for at in times)
        promised = batch.promised_us


def test_who_goes_on_after_a_death_gets_at_once_what_has_come_due(tmp_path: Path) -> None:
    clock, kept = Clock(), tmp_path / "clock.json"
    made = stream(tmp_path, [0, 1, 2, 3, 4, 9])
    killed = Pace(1.0, clock, clock.sleep, clock).paced(iter(made), kept)
    next(killed)  # the first event, at 0.1 s
    clock.now += 3.5
    pace = Pace(1.0, clock, clock.sleep, clock)
    seen = [(round(clock.now - 100, 3), b.rows) for b in pace.paced(iter(made), kept) if b.rows]
    assert seen == [(3.6, 4), (4.1, 1), (9.1, 1)]


def test_a_stream_paused_by_hand_goes_on_where_it_stood(tmp_path: Path) -> None:
    clock, kept = Clock(), tmp_path / "clock.json"
    made = stream(tmp_path, [0, 1, 9])
    pace = Pace(1.0, clock, clock.sleep, clock)
    stopped = pace.paced(iter(made), kept)
    next(stopped)
    pace.pause(kept)
    clock.now += 1000
    faster = Pace(10.0, clock, clock.sleep, clock)
    seen = [(round(clock.now - 1100, 3), b.rows) for b in faster.paced(iter(made), kept) if b.rows]
    assert seen == [(0.19, 1), (0.29, 1), (1.09, 1)]


def test_a_long_way_behind_comes_in_pieces(tmp_path: Path) -> None:
    clock, kept = Clock(), tmp_path / "clock.json"
    StreamClock(0, 0.0, 1e9).write(kept)
    made = stream(tmp_path, [n / 1000 for n in range(45_000)])
    pieces = [b.rows for b in Pace(1.0, clock, clock.sleep, clock).paced(iter(made), kept)]
    assert sum(pieces) == 45_000
    assert max(pieces) == 20_000


def test_no_speed_is_no_waiting(tmp_path: Path) -> None:
    made = stream(tmp_path, [0, 50])
    assert list(Pace().paced(iter(made))) == made


@pytest.mark.parametrize("text", ["fast", "0", "-1", "nan", "inf", ""])
def test_a_speed_is_max_or_a_positive_number(text: str) -> None:
    with pytest.raises(UsageError, match="neither `max` nor"):
        Pace.parse(text)
