"""What is remembered of the sources that were read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from clickstream_guardian.store.database import Store
from clickstream_guardian.store.sources import (
    SourceRecord,
    begin_source,
    finish_source,
    get_source,
    list_sources,
    reopen_source,
)
from tests.unit.store.samples import START

FILE = SourceRecord("abc", "click", "clicks.dat", 1_000, "time", START)


def test_begun_again_it_keeps_its_arrival_time(store: Store) -> None:
    with store.begin() as connection:
        begin_source(connection, FILE)
        again = begin_source(connection, replace(FILE, received_at=START + timedelta(days=1)))
    assert (again.received_at, again.status) == (START, "running")


def test_finished_it_tells_its_counts(store: Store) -> None:
    with store.begin() as connection:
        begin_source(connection, FILE)
        rejected = {"bad_time": 2, "empty_item": 1}
        for _ in range(2):
            finish_source(
                connection,
                "abc",
                total_lines=10,
                event_count=7,
                rejected_by_reason=rejected,
                late_count=0,
            )
        done = get_source(connection, "abc")
    assert done is not None
    assert (done.status, done.total_lines, done.event_count) == ("finished", 10, 7)
    assert (done.rejected_count, done.rejected_by_reason) == (3, rejected)
    assert done.finished_at is not None


def test_reopened_it_runs_again(store: Store) -> None:
    with store.begin() as connection:
        begin_source(connection, replace(FILE, first_lines=5))
        reopen_source(connection, "abc", None)
        found = get_source(connection, "abc")
    assert found is not None
    assert (found.status, found.first_lines, found.finished_at) == ("running", None, None)


def test_an_unknown_source_is_none(store: Store) -> None:
    with store.begin() as connection:
        assert get_source(connection, "abc") is None
        assert list_sources(connection) == []
