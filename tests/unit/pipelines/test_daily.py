"""A verdict that changes makes the days of its session dirty, and their clean numbers new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.lake.lake import Lake, open_lake
from clickstream_guardian.metrics.loader import find_metric, load_metrics
from clickstream_guardian.pipelines.daily import compute_days, dirty_days, due_days, outcome_noted
from clickstream_guardian.rules.loader import load_catalogue
from clickstream_guardian.rules.model import Rule
from clickstream_guardian.store import Store, upsert_anomalies
from tests.unit.lake.rows import FILE, MIDNIGHT, clicks
from tests.unit.store.samples import at

SIX = timedelta(seconds=6)
DAY, NEXT = date(2014, 4, 7), date(2014, 4, 8)
_VERDICT = """
    INSERT INTO session_verdicts (session_id, verdict, score, rules, first_flagged_at)
    VALUES (:session, :verdict, 0.9, CAST(:rules AS jsonb), '2014-04-08 00:00:10+00')
    ON CONFLICT (session_id) DO UPDATE SET verdict = excluded.verdict, rules = excluded.rules
"""


@pytest.fixture
def lake(store: Store, tmp_path: Path) -> Iterator[Lake]:
    """Sessions 0 to 2, of which 1 clicks on both days."""
    with open_lake(store.catalog_uri, tmp_path / "lake") as opened:
        land(opened, 0, 12)
        yield opened


@pytest.fixture
def engine(lake: Lake, tmp_path: Path) -> Iterator[DuckDbEngine]:
    with DuckDbEngine(lake, tmp_path / "tmp", threads=1) as opened:
        yield opened


def land(lake: Lake, first: int, count: int) -> None:
    """A click a second from 6 seconds before midnight, four of each session."""
    staged = lake.write_files(
        "clicks", clicks(first, count, at=MIDNIGHT + timedelta(hours=24) - SIX)
    )
    lake.commit("clicks", staged, {FILE: first + count}, {FILE: first})


def judge(store: Store, session: str, verdict: str, rules: str = '["BOT_LIKE"]') -> None:
    values = {"session": session, "verdict": verdict, "rules": rules}
    with store.begin() as connection:
        connection.execute(text(_VERDICT), values)


def settle(
    store: Store, lake: Lake, engine: DuckDbEngine, rules: Sequence[Rule] = ()
) -> list[date]:
    due = due_days(store, lake, engine, rules=rules)
    compute_days(store, engine, load_metrics(), due)
    assert dirty_days(store, lake) == []
    return due.days


def ask(store: Store, query: str) -> list[dict[str, Any]]:
    with store.begin() as connection:
        return [dict(row._mapping) for row in connection.execute(text(query))]


def deltas(store: Store) -> dict[tuple[date, str], int]:
    found = ask(store, "SELECT dt, rule, total_clicks FROM daily_metrics_delta")
    return {(row["dt"], row["rule"]): row["total_clicks"] for row in found}


def test_a_newly_abusive_session_restates_every_day_it_has_events_on(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    assert settle(store, lake, engine) == [DAY, NEXT]
    assert deltas(store) == {}
    judge(store, "1", "abusive")
    assert dirty_days(store, lake) == [NEXT]
    assert settle(store, lake, engine) == [DAY, NEXT]
    assert deltas(store) == {(DAY, "BOT_LIKE"): -2, (NEXT, "BOT_LIKE"): -2}
    (day,) = ask(store, "SELECT * FROM daily_metrics_clean WHERE dt = '2014-04-07'")
    assert (day["total_clicks"], day["unique_sessions"]) == (4, 1)
    assert day["avg_clicks_per_session"] == 4
    raw = ask(store, "SELECT total_clicks FROM daily_metrics")
    assert raw == [{"total_clicks": 6}, {"total_clicks": 6}]


def test_a_session_that_never_landed_is_looked_for_once(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    settle(store, lake, engine)
    judge(store, "3", "abusive")
    assert dirty_days(store, lake) == [NEXT]
    assert settle(store, lake, engine) == []
    land(lake, 12, 1)
    assert settle(store, lake, engine) == [DAY]
    assert deltas(store) == {(DAY, "BOT_LIKE"): -1}


def test_a_session_is_looked_for_again_when_it_is_judged_again(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    judge(store, "3", "abusive")
    settle(store, lake, engine)
    judge(store, "3", "clean")
    land(lake, 12, 1)
    settle(store, lake, engine)
    judge(store, "3", "abusive")
    assert settle(store, lake, engine) == [DAY]
    assert deltas(store) == {(DAY, "BOT_LIKE"): -1}


@pytest.mark.parametrize("verdict", ["clean", "suspect"])
def test_a_verdict_taken_back_restates_the_days(
    store: Store, lake: Lake, engine: DuckDbEngine, verdict: str
) -> None:
    judge(store, "1", "abusive")
    settle(store, lake, engine)
    judge(store, "1", verdict)
    assert dirty_days(store, lake) == [DAY, NEXT]
    settle(store, lake, engine)
    assert deltas(store) == {}
    assert ask(store, "SELECT * FROM excluded_sessions WHERE dt > '-infinity'") == []


def test_another_rule_to_blame_restates_the_days(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    judge(store, "1", "abusive", '["HIGH_FREQUENCY"]')
    settle(store, lake, engine)
    judge(store, "1", "abusive", '["BOT_LIKE", "HIGH_FREQUENCY"]')
    settle(store, lake, engine)
    assert {rule for _, rule in deltas(store)} == {"BOT_LIKE"}


def test_what_a_killed_run_did_not_reach_stays_dirty(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    settle(store, lake, engine)
    judge(store, "1", "abusive")
    compute_days(store, engine, load_metrics(), due_days(store, lake, engine, [NEXT]))
    assert dirty_days(store, lake) == [DAY]


def test_one_metric_alone_settles_no_day(store: Store, lake: Lake, engine: DuckDbEngine) -> None:
    settle(store, lake, engine)
    judge(store, "1", "abusive")
    due = due_days(store, lake, engine)
    compute_days(store, engine, [find_metric("item_daily")], due)
    assert dirty_days(store, lake) == [DAY, NEXT]


def test_views_of_clean_numbers_leave_out_what_has_gone(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    for session in ("0", "1", "2"):
        judge(store, session, "abusive")
    settle(store, lake, engine)
    assert ask(store, "SELECT * FROM item_daily_clean") == []
    assert ask(store, "SELECT * FROM popular_items_clean") == []
    steps = ask(store, "SELECT sessions, share_ratio FROM session_funnel_clean")
    assert steps == [{"sessions": 0, "share_ratio": None}] * 8


def restatements(store: Store) -> list[tuple[date, list[str], int, int]]:
    found = ask(store, "SELECT dt, reasons, raw, clean FROM restatements ORDER BY restatement_id")
    return [
        (row["dt"], row["reasons"], row["raw"]["total_clicks"], row["clean"]["total_clicks"])
        for row in found
    ]


def test_a_restated_day_keeps_what_it_was_and_why(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    settle(store, lake, engine)
    assert restatements(store) == []
    judge(store, "1", "abusive")
    settle(store, lake, engine)
    assert restatements(store) == [(DAY, ["verdicts"], 6, 6), (NEXT, ["verdicts"], 6, 6)]
    with store.begin() as connection:
        connection.execute(
            text("UPDATE session_verdicts SET verdict = 'clean', allowed_by = 'our own'")
        )
    land(lake, 12, 1)
    settle(store, lake, engine)
    assert restatements(store)[2:] == [
        (DAY, ["allow_list", "events"], 6, 4),
        (NEXT, ["allow_list"], 6, 4),
    ]


def test_a_rule_s_new_version_is_a_reason_of_its_own(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    rules = load_catalogue()
    bot_like = next(rule for rule in rules if rule.name == "BOT_LIKE")
    raised = [replace(bot_like, version=bot_like.version + 1)]
    settle(store, lake, engine, rules)
    with store.begin() as connection:
        found = at(MIDNIGHT, 1, session_id="1", rule="BOT_LIKE", severity="critical")
        upsert_anomalies(connection, {"": [replace(found, rule_version=raised[0].version)]})
    settle(store, lake, engine, raised)
    assert restatements(store) == [(DAY, ["rule_version"], 6, 6), (NEXT, ["rule_version"], 6, 6)]
    judge(store, "2", "abusive")
    settle(store, lake, engine, raised)
    assert {tuple(reasons) for _, reasons, _, _ in restatements(store)[2:]} == {("verdicts",)}


def test_computing_a_day_again_restates_nothing(
    store: Store, lake: Lake, engine: DuckDbEngine
) -> None:
    judge(store, "1", "abusive")
    settle(store, lake, engine)
    compute_days(store, engine, load_metrics(), due_days(store, lake, engine, [DAY, NEXT]))
    assert restatements(store) == []


def test_what_a_run_came_to_is_noted_also_when_it_fails(store: Store) -> None:
    def run_out_of_disk() -> None:
        with outcome_noted(store) as run:
            run.day_count = 2
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        run_out_of_disk()
    noted = text("SELECT value FROM status_snapshots WHERE name = 'batch'")
    with store.begin() as connection:
        failed = connection.execute(noted).scalar_one()
    assert (failed["error"], failed["day_count"]) == ("disk full", 2)
    with outcome_noted(store) as run:
        run.day_count = 3
    with store.begin() as connection:
        well = connection.execute(noted).scalar_one()
    assert (well["error"], well["day_count"]) == (None, 3)
    assert well["seconds"] >= 0
