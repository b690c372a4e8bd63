"""A stored number that is not what the lake says is found and named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.lake.lake import Lake, open_lake
from clickstream_guardian.metrics.loader import load_metrics
from clickstream_guardian.pipelines.daily import compute_days, due_days
from clickstream_guardian.pipelines.verify import Difference, verify_days
from clickstream_guardian.store import Store
from tests.unit.lake.rows import FILE, clicks

DAY, EMPTY = date(2014, 4, 7), date(2014, 4, 8)


@pytest.fixture
def lake(store: Store, tmp_path: Path) -> Iterator[Lake]:
    with open_lake(store.catalog_uri, tmp_path / "lake") as opened:
        land(opened, 0, 40)
        with DuckDbEngine(opened, tmp_path / "tmp", threads=1) as engine:
            compute_days(
                store, engine, load_metrics(), due_days(store, opened, engine, [DAY, EMPTY])
            )
        yield opened


def land(lake: Lake, first: int, count: int) -> None:
    staged = lake.write_files("clicks", clicks(first, count))
    lake.commit("clicks", staged, {FILE: first + count}, {FILE: first})


def change(store: Store, statement: str) -> None:
    with store.begin() as connection:
        connection.execute(text(statement))


def test_computed_days_agree_with_the_lake(store: Store, lake: Lake) -> None:
    assert verify_days(store, lake, [DAY, EMPTY]) == []


def test_rows_landed_later_are_missing_from_the_numbers(store: Store, lake: Lake) -> None:
    land(lake, 40, 2)
    rows, events = verify_days(store, lake, [DAY, EMPTY])
    assert rows == Difference(DAY, "daily_metrics.source_rows", 40, "rows in the lake", 42)
    assert (events.stored, events.expected) == (40, 42)
    assert events.against == "distinct events in raw.clicks"


def test_a_day_never_computed_differs(store: Store, lake: Lake) -> None:
    for metric in load_metrics():
        change(store, f"DELETE FROM {metric.name}")
    found = verify_days(store, lake, [DAY, EMPTY])
    assert {one.dt for one in found} == {DAY}
    assert found[0].stored == 0


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE item_daily SET clicks = clicks + 1", "item_daily.clicks"),
        ("UPDATE item_daily SET revenue = 1", "item_daily.revenue"),
        ("UPDATE popular_categories SET clicks = 0", "popular_categories.clicks"),
        ("UPDATE session_funnel SET sessions = 3 WHERE step_number > 2", "session_funnel.buyers"),
        ("UPDATE daily_metrics SET total_purchases = 1", "daily_metrics.total_purchases"),
    ],
)
def test_a_number_that_was_changed_is_named(
    store: Store, lake: Lake, statement: str, what: str
) -> None:
    change(store, f"{statement}{' AND' if 'WHERE' in statement else ' WHERE'} dt = '2014-04-07'")
    found = verify_days(store, lake, [DAY, EMPTY])
    assert what in {one.what for one in found}
    assert {one.dt for one in found} == {DAY}


def test_an_empty_day_with_numbers_differs(store: Store, lake: Lake) -> None:
    change(store, "UPDATE daily_metrics SET total_clicks = 5 WHERE dt = '2014-04-08'")
    found = verify_days(store, lake, [EMPTY])
    assert found[0] == Difference(
        EMPTY, "daily_metrics.total_clicks", 5, "distinct events in raw.clicks", 0
    )
