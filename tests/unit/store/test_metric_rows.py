"""Replacing a metric's days: whole, repeatable, safe against another run of the same day."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pyarrow as pa
from sqlalchemy import Connection, text

from clickstream_guardian.store.database import Store
from clickstream_guardian.store.metric_rows import replace_days, stored_source_rows

DAY, NEXT = date(2014, 4, 7), date(2014, 4, 8)


def items(day: date, clicks: dict[str, int]) -> pa.Table:
    return pa.table(
        {
            "dt": pa.array([day] * len(clicks), pa.date32()),
            "item_id": pa.array(list(clicks), pa.string()),
            "clicks": pa.array(list(clicks.values()), pa.int64()),
            "sessions": pa.array([1] * len(clicks), pa.int64()),
            "purchases": pa.array([0] * len(clicks), pa.int64()),
            "revenue": pa.array([Decimal("12.50")] * len(clicks), pa.decimal128(38, 2)),
        }
    )


def stored(store: Store, dt: date = DAY) -> dict[str, int]:
    with store.begin() as connection:
        found = connection.execute(
            text("SELECT item_id, clicks FROM item_daily WHERE dt = :dt"), {"dt": dt}
        )
        return dict(map(tuple, found))


def put(store: Store, days: Sequence[date], rows: pa.Table) -> int:
    with store.begin() as connection:
        return replace_days(connection, "item_daily", days, rows)


def test_a_day_is_replaced_whole_and_others_stay(store: Store) -> None:
    put(store, [DAY], items(DAY, {"a": 1, "b": 2}))
    put(store, [NEXT], items(NEXT, {"a": 5}))
    assert put(store, [DAY], items(DAY, {"b": 3})) == 1
    assert stored(store) == {"b": 3}
    assert stored(store, NEXT) == {"a": 5}


def test_a_day_without_rows_is_emptied(store: Store) -> None:
    put(store, [DAY], items(DAY, {"a": 1}))
    assert put(store, [DAY, NEXT], items(DAY, {})) == 0
    assert stored(store) == {}


def test_any_text_is_an_item(store: Store) -> None:
    odd = {"": 1, 'say "hi", ok': 2, "\\N": 3, "tab\tline\nend\\": 4, "\\.": 5, "ü€": 6}
    put(store, [DAY], items(DAY, odd))
    assert stored(store) == odd


def test_a_failure_leaves_the_day_as_it_was(store: Store) -> None:
    put(store, [DAY], items(DAY, {"a": 1}))
    try:
        with store.begin() as connection:
            replace_days(connection, "item_daily", [DAY], items(DAY, {"a": 9}))
            raise InterruptedError
    except InterruptedError:
        pass
    assert stored(store) == {"a": 1}


def test_the_later_of_two_runs_of_a_day_stands_whole(store: Store) -> None:
    first = store.engine.connect()
    replace_days(first, "item_daily", [DAY], items(DAY, {"a": 1, "b": 1}))
    second = threading.Thread(target=put, args=(store, [DAY], items(DAY, {"b": 2, "c": 2})))
    second.start()
    second.join(0.3)
    assert second.is_alive()
    first.commit()
    first.close()
    second.join(10)
    assert stored(store) == {"b": 2, "c": 2}


def test_runs_of_different_days_go_side_by_side(store: Store) -> None:
    with store.begin() as other:
        replace_days(other, "item_daily", [DAY], items(DAY, {"a": 1}))
        put(store, [NEXT], items(NEXT, {"a": 2}))
    assert stored(store, NEXT) == {"a": 2}


def test_a_run_over_very_many_days_waits_for_one_of_a_day(store: Store) -> None:
    many = [date.fromordinal(DAY.toordinal() + n) for n in range(100)]
    one = store.engine.connect()
    replace_days(one, "item_daily", [DAY], items(DAY, {"a": 1}))
    long = threading.Thread(target=put, args=(store, many, items(DAY, {"b": 2})))
    long.start()
    long.join(0.3)
    assert long.is_alive()
    one.commit()
    one.close()
    long.join(10)
    assert stored(store) == {"b": 2}


def daily(connection: Connection, **values: int) -> None:
    names = ("total_clicks", "total_purchases", "unique_sessions", "unique_items")
    names += ("buying_sessions", "priced_purchases", "priced_sessions", "total_revenue")
    names += ("total_duration_ms", "source_rows")
    columns = {name: pa.array([values.get(name, 0)], pa.int64()) for name in names}
    rows = pa.table({"dt": pa.array([DAY], pa.date32()), **columns})
    replace_days(connection, "daily_metrics", [DAY], rows)


def test_ratios_are_divided_by_the_database(store: Store) -> None:
    with store.begin() as connection:
        daily(connection, unique_sessions=3, buying_sessions=1, total_duration_ms=4_500)
        found = connection.execute(
            text("SELECT conversion_rate, avg_session_duration_seconds FROM daily_metrics")
        ).one()
    assert found[0] == Decimal("0.33333333333333333333")
    assert found[1] == Decimal("1.5")


def test_a_ratio_to_nothing_is_missing(store: Store) -> None:
    with store.begin() as connection:
        daily(connection)
        found = connection.execute(
            text("SELECT conversion_rate, avg_order_value FROM daily_metrics")
        ).one()
    assert tuple(found) == (None, None)


def test_source_rows_are_told_by_day(store: Store) -> None:
    with store.begin() as connection:
        daily(connection, source_rows=12)
        assert stored_source_rows(connection) == {DAY: 12}


def test_popular_items_rank_ties_bytewise(store: Store) -> None:
    put(store, [DAY], items(DAY, {"b": 5, "B": 5, "ä": 5, "a": 7}))
    with store.begin() as connection:
        found = connection.execute(
            text("SELECT item_id FROM popular_items WHERE ranking = 'clicks' ORDER BY rank")
        )
        assert [item for (item,) in found] == ["a", "B", "b", "ä"]
