"""Writing anomalies twice, changed, at once, and across months."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select, text

from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.store.anomalies import (
    UpsertCounts,
    upsert_anomalies,
    withdraw_forgotten,
)
from clickstream_guardian.store.database import Store
from clickstream_guardian.store.tables import anomaly_sessions
from tests.unit.store.samples import ANOMALY, START, anomaly, at, sample


def write(store: Store, *rows: Anomaly) -> UpsertCounts:
    with store.begin() as connection:
        return upsert_anomalies(connection, {"": rows})


def read(store: Store) -> list[dict[str, Any]]:
    with store.begin() as connection:
        found = connection.execute(select(anomaly_sessions).order_by("change_id"))
        return [dict(row) for row in found.mappings()]


def test_what_is_written_is_read(store: Store) -> None:
    assert write(store, ANOMALY) == UpsertCounts(1, 0, 0)
    (row,) = read(store)
    for name in ("rule", "rule_version", "session_id", "window_start", "event_count", "severity"):
        assert row[name] == getattr(ANOMALY, name)
    assert row["measures"] == {"clicks": 60, "diversity": 0.1}
    assert row["sample"] == {
        "occurred_at": ["2014-04-07T10:51:00Z", "2014-04-07T10:51:01.500Z"],
        "item_id": ["214536502", 'a "quoted"\titem \\ ü'],
        "event_id": [f"{1 << 124:032x}", f"{2:032x}"],
    }


def test_the_same_again_changes_nothing(store: Store) -> None:
    write(store, ANOMALY, anomaly(1))
    before = read(store)
    assert write(store, ANOMALY, anomaly(1)) == UpsertCounts(0, 0, 2)
    assert read(store) == before


@pytest.mark.parametrize(
    "change",
    [
        {"status": "withdrawn"},
        {"event_count": 61},
        {"measures": {"clicks": 61, "diversity": 0.1}},
        {"sample": sample(START, START + timedelta(milliseconds=1500), ids=(1 << 124, 3))},
        {"sample": sample(START, START + timedelta(milliseconds=1501))},
        {"explanation": "61 clicks in 10 seconds"},
    ],
)
def test_a_difference_in_one_value_is_a_change(store: Store, change: dict[str, Any]) -> None:
    write(store, ANOMALY)
    assert write(store, replace(ANOMALY, **change)) == UpsertCounts(0, 1, 0)
    assert write(store, replace(ANOMALY, **change)) == UpsertCounts(0, 0, 1)


def test_order_of_measures_is_no_change(store: Store) -> None:
    write(store, ANOMALY)
    turned = dict(reversed(ANOMALY.measures.items()))
    assert write(store, replace(ANOMALY, measures=turned)) == UpsertCounts(0, 0, 1)


def test_a_change_keeps_detected_at_and_takes_a_greater_change_id(store: Store) -> None:
    write(store, ANOMALY, anomaly(1))
    first, second = read(store)
    write(store, replace(ANOMALY, event_count=99), anomaly(1))
    unchanged, changed = read(store)
    assert unchanged == second
    assert changed["anomaly_id"] == first["anomaly_id"]
    assert changed["detected_at"] == first["detected_at"]
    assert changed["updated_at"] > first["updated_at"]
    assert changed["change_id"] > second["change_id"]


def test_of_one_anomaly_given_twice_the_last_holds(store: Store) -> None:
    assert write(store, ANOMALY, replace(ANOMALY, event_count=99)) == UpsertCounts(1, 0, 0)
    assert [row["event_count"] for row in read(store)] == [99]


def test_nothing_is_written_of_nothing(store: Store) -> None:
    assert write(store) == UpsertCounts(0, 0, 0)


def test_an_anomaly_without_a_sample(store: Store) -> None:
    write(store, replace(ANOMALY, sample=sample()))
    assert read(store)[0]["sample"] == {"occurred_at": [], "item_id": [], "event_id": []}


def test_a_sample_over_midnight_and_in_another_zone(store: Store) -> None:
    late = datetime(2014, 4, 7, 23, 59, 59, tzinfo=UTC)
    times = (late, (late + timedelta(seconds=2)).astimezone(timezone(timedelta(hours=9))))
    write(store, replace(ANOMALY, sample=sample(*times)))
    assert read(store)[0]["sample"]["occurred_at"] == [
        "2014-04-07T23:59:59Z",
        "2014-04-08T00:00:01Z",
    ]


def test_months_get_their_partitions_by_utc(store: Store) -> None:
    new_year = datetime(2015, 1, 1, tzinfo=UTC)
    tokyo = timezone(timedelta(hours=9))
    write(
        store,
        at(new_year - timedelta(microseconds=1), 1),
        at(new_year.astimezone(tokyo), 2),
        at(datetime(2014, 12, 1, tzinfo=UTC), 3),
    )
    with store.begin() as connection:
        found = connection.execute(
            text("SELECT tableoid::regclass::text, count(*) FROM anomaly_sessions GROUP BY 1")
        )
        assert dict(map(tuple, found)) == {
            "anomaly_sessions_2014_12": 2,
            "anomaly_sessions_2015_01": 1,
        }


def test_more_rows_than_one_chunk(store: Store) -> None:
    rows = [replace(anomaly(n), sample=sample()) for n in range(5_001)]
    assert write(store, *rows) == UpsertCounts(5_001, 0, 0)
    rows[0] = replace(rows[0], event_count=99)
    rows[-1] = replace(rows[-1], event_count=99)
    assert write(store, *rows) == UpsertCounts(0, 2, 4_999)


def test_writers_at_once_make_each_partition_and_row_once(store: Store) -> None:
    rows = [at(START + timedelta(days=31 * n), n) for n in range(6)]
    counts: list[UpsertCounts] = []
    threads = [
        threading.Thread(target=lambda: counts.append(write(store, *rows))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(count.inserted for count in counts) == len(read(store)) == 6
    assert sum(count.changed for count in counts) == 0


def test_a_reader_of_changes_never_meets_a_smaller_id_later(store: Store) -> None:
    """A writer that took its ids first commits first: the second waits for it."""
    first, second = store.engine.connect(), store.engine.connect()
    upsert_anomalies(first, {"": [anomaly(1)]})
    waiting = threading.Thread(
        target=lambda: (upsert_anomalies(second, {"": [anomaly(2)]}), second.commit())
    )
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    first.commit()
    waiting.join(10)
    assert [row["anomaly_id"] for row in read(store)] == [f"{n:032x}" for n in (1, 2)]
    first.close()
    second.close()


def test_reading_goes_on_while_a_partition_is_made(store: Store) -> None:
    write(store, ANOMALY)
    with store.begin() as writing:
        upsert_anomalies(writing, {"": [at(START + timedelta(days=60), 1)]})
        assert len(read(store)) == 1


def test_a_preview_whose_window_closed_is_withdrawn(store: Store) -> None:
    preview = replace(ANOMALY, status="open")
    write(store, preview, anomaly(1))
    with store.begin() as connection:
        assert withdraw_forgotten(connection, {"": None}) == 0
        before_its_end = ANOMALY.window_end - timedelta(microseconds=1)
        assert withdraw_forgotten(connection, {"": before_its_end}) == 0
        assert withdraw_forgotten(connection, {"": ANOMALY.window_end}) == 1
    final, withdrawn = read(store)
    assert (final["status"], withdrawn["status"]) == ("final", "withdrawn")
    assert withdrawn["change_id"] > final["change_id"]
    assert write(store, preview) == UpsertCounts(0, 1, 0)


def test_each_group_withdraws_its_own_previews(store: Store) -> None:
    previews = [replace(anomaly(number), status="open") for number in range(3)]
    with store.begin() as connection:
        found = {"a": previews[:1], "b": previews[1:2], "c": previews[2:]}
        assert upsert_anomalies(connection, found) == UpsertCounts(3, 0, 0)
        settled = {"a": ANOMALY.window_end, "b": None, "c": START}
        assert withdraw_forgotten(connection, settled) == 1
    assert {row["anomaly_id"]: row["status"] for row in read(store)} == {
        previews[0].anomaly_id: "withdrawn",
        previews[1].anomaly_id: "open",
        previews[2].anomaly_id: "open",
    }
