"""Bounds told from sorted numbers miss nothing that counting by hand finds."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import polars as pl
import pytest

from clickstream_guardian.detector.packed import (
    crowded_sessions,
    rows_of_busy_sessions,
    windows_with_quick_events,
)
from clickstream_guardian.rules.loader import load_catalogue
from clickstream_guardian.rules.model import Rule

RULES = {rule.name: rule for rule in load_catalogue()}
FIRST = 1_396_864_800_000_000  # 2014-04-07 10:00 UTC, in microseconds


def made(rng: random.Random, hours: float, sessions: int, hashes: int) -> pl.DataFrame:
    """Events of sessions of which several share a hash."""
    events = []
    for session in range(sessions):
        begin = rng.uniform(0, hours * 3600)
        items = [rng.randrange(4) for _ in range(rng.randint(1, 6))]
        pauses = rng.choice(((0.3, 20.0, 90.0), (0.3, 5.0)))
        for number in range(rng.randint(1, 40)):
            second = begin + number * rng.choice(pauses)
            hashed = (session % hashes) * 0x0101_0101_0101_0101
            events.append((FIRST + int(second * 1e6), session, rng.choice(items), hashed))
    rng.shuffle(events)
    schema = {"at": pl.Int64, "session": pl.UInt32, "item": pl.UInt32, "hash": pl.UInt64}
    return pl.DataFrame(events, schema, orient="row")


def due_windows(rule: Rule, rows: pl.DataFrame) -> np.ndarray:
    """Every second window between the first event and the last."""
    every = rule.window.every_us
    last = int(rows["at"].to_numpy().max())
    return np.arange(FIRST // every * every, last // every * every, 2 * every)


def by_window(rule: Rule, rows: pl.DataFrame, due: np.ndarray) -> dict[int, pl.DataFrame]:
    ends = {int(start): int(start) + rule.window.size_us for start in due}
    return {s: rows.filter(pl.col("at").is_between(s, e, closed="left")) for s, e in ends.items()}


def within(rule: Rule, rows: pl.DataFrame, due: np.ndarray) -> pl.DataFrame:
    end = int(due[-1]) + rule.window.size_us
    return rows.filter(pl.col("at").is_between(int(due[0]), end, closed="left"))


@pytest.mark.parametrize("name", ["FAST_SCAN", "SLOW_CRAWLER", "PURCHASE_BURST"])
@pytest.mark.parametrize("hashes", [3, 1000])
def test_every_event_of_a_busy_session_is_there(name: str, hashes: int) -> None:
    rule = RULES[name]
    rows = made(random.Random(1), 3, 60, hashes)
    due = due_windows(rule, rows)
    found = set(rows_of_busy_sessions(rule, within(rule, rows, due), due).iter_rows())
    wanted = set()
    for events in by_window(rule, rows, due).values():
        for _, mine in events.group_by("session"):
            if len(mine) >= rule.least_events:
                wanted |= set(mine.iter_rows())
    assert wanted
    assert wanted <= found
    if hashes == 1000:
        assert wanted == found


@pytest.mark.parametrize("name", ["CLICK_FARM", "LOCKSTEP_FARM", "REPLAYED_SESSION"])
@pytest.mark.parametrize("least", [1, 3])
def test_sessions_of_crowded_keys_are_those_counted_by_hand(name: str, least: int) -> None:
    rule = RULES[name]
    assert rule.members is not None
    rows = made(random.Random(2), 2, 80, 1000)
    due = due_windows(rule, rows)
    found = crowded_sessions(rule, within(rule, rows, due), due, least)
    threshold = rule.members.when["items"]
    wanted = set()
    for start, events in by_window(rule, rows, due).items():
        looked_at: dict[int, frozenset[int]] = {
            session: frozenset(mine["item"]) for (session,), mine in events.group_by("session")
        }
        members: dict[object, int] = defaultdict(int)
        for items in looked_at.values():
            if threshold.holds(len(items)):
                for key in items if rule.key == "item_id" else [items]:
                    members[key] += 1
        for session, items in looked_at.items():
            keys = items if rule.key == "item_id" else [items]
            if any(members.get(key, 0) >= least for key in keys):
                wanted.add((session, start))
    assert set(found.iter_rows()) == wanted


@pytest.mark.parametrize("hashes", [3, 1000])
def test_windows_with_quick_events_are_all_there(hashes: int) -> None:
    rule = RULES["SITE_FLOOD"]
    rows = made(random.Random(3), 1, 120, hashes)
    due = due_windows(rule, rows)
    found = windows_with_quick_events(rule, within(rule, rows, due), due, 1_500_000, 30)
    wanted = set()
    for start, events in by_window(rule, rows, due).items():
        quick = 0
        for _, mine in events.group_by("session"):
            gaps = np.diff(np.sort(mine["at"].to_numpy()))
            quick += int((gaps <= 1_500_000).sum())
        if quick >= 30:
            wanted.add(start)
    assert wanted
    assert wanted <= set(found.tolist()) <= set(due.tolist())


def test_no_event_is_no_window() -> None:
    rule = RULES["SITE_FLOOD"]
    rows = made(random.Random(4), 1, 1, 1).clear()
    due = np.array([FIRST], dtype=np.int64)
    assert len(windows_with_quick_events(rule, rows, due, 1_500_000, 1)) == 0
    assert len(rows_of_busy_sessions(RULES["FAST_SCAN"], rows, due)) == 0
    for name in ("CLICK_FARM", "LOCKSTEP_FARM"):
        assert len(crowded_sessions(RULES[name], rows, due, 2)) == 0
