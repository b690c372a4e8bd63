"""A dead letter is decoded again, landed once whatever dies in between, and refused after that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import text

from clickstream_guardian.events.fields import CLICK, EventKind
from clickstream_guardian.events.rejections import Reason, reject
from clickstream_guardian.events.schemas import rejected_arrow_schema
from clickstream_guardian.lake.lake import Lake, open_lake
from clickstream_guardian.lake.model import SourcePartition
from clickstream_guardian.lake.rejected import DeadLetter, LetterFilter
from clickstream_guardian.pipelines import deadletter
from clickstream_guardian.pipelines.deadletter import Retried, Retry
from clickstream_guardian.pipelines.reconcile import Imbalance, note_lake, reconcile
from clickstream_guardian.store import SourceRecord, Store, begin_source, finish_source
from clickstream_guardian.store.dead_letters import LetterKey, claim_retry, decided
from tests.unit.lake.rows import FILE, MIDNIGHT, query

GOOD = b"7,2014-04-06T10:00:00.000Z,5,S"
LINES = (GOOD, b"8,2014-13-45T00:00:00Z,1,0", b"\xff,", b"9,x," + b"y" * 5000)
COLUMNS = ["session_id", "occurred_at", "item_id", "category"]


@pytest.fixture
def lake(store: Store, tmp_path: Path) -> Iterator[Lake]:
    with open_lake(store.catalog_uri, tmp_path / "lake") as opened:
        land_letters(opened, LINES)
        yield opened


def land_letters(lake: Lake, lines: tuple[bytes, ...], line_number: int | None = 1) -> None:
    made = [reject(row, 0, Reason.BAD_TIMESTAMP, line) for row, line in enumerate(lines)]
    rows = [
        {
            "source": FILE.source,
            "partition": 0,
            "offset": one.row,
            "received_at": MIDNIGHT,
            "kind": "click",
            "place": "clicks.dat",
            "line_number": line_number,
            "reason": str(one.reason),
            "detail": one.detail,
            "raw": one.raw,
            "raw_bytes": one.raw_bytes,
        }
        for one in made
    ]
    wanted = rejected_arrow_schema()
    schema = pa.schema([field for field in wanted if field.name not in ("dt", "hour")])
    staged = lake.write_files("rejected", pa.Table.from_pylist(rows, schema=schema))
    lake.commit("rejected", staged, {FILE: len(lines)}, {})


def read_source(store: Store, events_by_hour: dict[str, int], rejected: int) -> None:
    record = SourceRecord(FILE.source, "click", "clicks.dat", 1, "time", MIDNIGHT)
    with store.begin() as connection:
        begin_source(connection, record)
        finish_source(
            connection,
            FILE.source,
            total_lines=sum(events_by_hour.values()) + rejected,
            event_count=sum(events_by_hour.values()),
            rejected_by_reason={"bad_timestamp": rejected},
            late_count=0,
            events_by_hour=events_by_hour,
        )


def no_message(kind: EventKind, raw: bytes, letter: DeadLetter) -> Reason:
    return Reason.BAD_AVRO


def retry(store: Store, lake: Lake, *offsets: int, replacement: str | None = None) -> Retried:
    letters = deadletter.find_letters(lake, LetterFilter())
    chosen = [one for one in letters if one.offset in offsets]
    return Retry(store, lake, no_message).run(chosen, replacement)


def clicks(lake: Lake) -> list[tuple[object, ...]]:
    return query(lake, 'SELECT session_id, source, "offset" FROM raw ORDER BY "offset"')


def test_letters_are_counted_by_hour_and_reason(lake: Lake) -> None:
    letters = deadletter.find_letters(lake, LetterFilter())
    assert deadletter.count_letters(letters) == [("2014-04-07 00", "bad_timestamp", 4)]
    assert deadletter.find_letters(lake, LetterFilter(reason="bad_price")) == []
    [one] = deadletter.find_letters(lake, LetterFilter(FILE.source, None, 0, 1))
    assert one.raw.encode() == LINES[1]


def test_a_retry_lands_what_is_an_event_now_and_tells_of_the_rest(store: Store, lake: Lake) -> None:
    done = retry(store, lake, 0, 1, 2, 3)
    assert [key.offset for key in done.landed] == [0]
    assert {key.offset for key in done.still} == {1, 2, 3}
    assert done.days == [date(2014, 4, 6)]
    assert clicks(lake) == [("7", "retry", 0)]


def test_a_letter_is_retried_once_and_a_dropped_one_never(store: Store, lake: Lake) -> None:
    retry(store, lake, 0)
    [dropped] = deadletter.find_letters(lake, LetterFilter(partition=0, offset=1))
    assert deadletter.drop(store, [dropped]).landed == [deadletter.key_of(dropped)]
    again = retry(store, lake, 0, 1)
    assert ([key.offset for key in again.refused], again.landed) == ([0, 1], [])
    assert len(clicks(lake)) == 1
    letters = deadletter.find_letters(lake, LetterFilter())
    assert {one.offset for one in deadletter.open_letters(store, letters)[0]} == {2, 3}


def test_a_replacement_is_decoded_in_place_of_bytes_that_were_cut(store: Store, lake: Lake) -> None:
    mended = "9,2014-04-06T11:00:00Z,3,0"
    assert retry(store, lake, 3, replacement=mended).landed
    assert clicks(lake) == [("9", "retry", 0)]


def test_a_line_is_read_by_the_columns_of_its_file(store: Store, lake: Lake) -> None:
    record = SourceRecord(
        FILE.source, "click", "c", 1, "time", MIDNIGHT, line_columns=list(reversed(COLUMNS))
    )
    with store.begin() as connection:
        begin_source(connection, record)
    assert retry(store, lake, 1, replacement="S,5,2014-04-06T10:00:00Z,33").landed
    assert clicks(lake) == [("33", "retry", 0)]


def test_a_message_is_decoded_from_the_very_bytes_that_came(store: Store, tmp_path: Path) -> None:
    raw = bytes(range(256))
    seen: list[bytes] = []

    def decode(kind: EventKind, found: bytes, letter: DeadLetter) -> Reason:
        seen.append(found)
        return Reason.BAD_AVRO

    with open_lake(store.catalog_uri, tmp_path / "lake") as lake:
        land_letters(lake, (raw,), line_number=None)
        letters = deadletter.find_letters(lake, LetterFilter())
        assert Retry(store, lake, decode).run(letters).still
    assert seen == [raw]


@pytest.mark.parametrize("moment", ["claimed", "before commit", "committed"])
def test_killed_between_the_steps_it_ends_the_same(
    store: Store, lake: Lake, tmp_path: Path, moment: str
) -> None:
    code = f"""
import os, signal
from clickstream_guardian.lake.lake import open_lake
from clickstream_guardian.lake.rejected import LetterFilter
from clickstream_guardian.pipelines.deadletter import Retry, find_letters
from clickstream_guardian.settings import Settings
from clickstream_guardian.store import open_store
step = lambda name: name == {moment!r} and os.kill(os.getpid(), signal.SIGKILL)
with open_store(Settings(home={str(tmp_path)!r}, database_url={store.catalog_uri!r})) as store:
    with open_lake(store.catalog_uri, {str(tmp_path / "lake")!r}, on_step=step) as lake:
        letters = find_letters(lake, LetterFilter(partition=0, offset=0))
        Retry(store, lake, None, step).run(letters)
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    assert retry(store, lake, 0).refused
    assert clicks(lake) == [("7", "retry", 0)]
    assert lake.positions("clicks") == {SourcePartition("retry", 0): 1}
    assert reconcile(store, lake).imbalances == ()


def test_a_claim_that_no_longer_decodes_takes_no_offset_from_the_next(
    store: Store, lake: Lake
) -> None:
    for offset in (0, 1):  # of two that decoded once and were claimed, the second does not now
        with store.begin() as connection:
            assert claim_retry(connection, LetterKey(FILE.source, 0, offset), CLICK.name, None)
    assert retry(store, lake).landed == []
    assert retry(store, lake, 3, replacement="9,2014-04-06T11:00:00Z,3,0").landed
    assert clicks(lake) == [("7", "retry", 0), ("9", "retry", 1)]
    assert reconcile(store, lake).imbalances == ()


def test_more_letters_than_a_statement_has_parameters_are_looked_up(store: Store) -> None:
    key = LetterKey(FILE.source, 0, 29_999)
    with store.begin() as connection:
        claim_retry(connection, key, CLICK.name, None)
        found = decided(connection, [LetterKey(FILE.source, 0, n) for n in range(30_000)])
    assert list(found) == [key]


def test_what_came_in_is_held_against_the_lake_by_hour(store: Store, lake: Lake) -> None:
    read_source(store, {}, len(LINES))
    assert reconcile(store, lake).imbalances == ()
    retry(store, lake, 0)
    found = reconcile(store, lake)
    assert (found.imbalances, found.came_in, found.landed, found.rejected) == ((), 4, 0, 4)
    assert noted_difference(store, lake) == 0  # a retried letter has come in once


def test_what_is_missing_is_noted_and_nothing_where_no_source_tells(
    store: Store, lake: Lake
) -> None:
    assert noted_difference(store, lake) is None
    read_source(store, {"2014-04-06 10": 2}, len(LINES))
    assert noted_difference(store, lake) == 2


def noted_difference(store: Store, lake: Lake) -> object:
    note_lake(store, lake)
    with store.begin() as connection:
        noted = connection.execute(text("SELECT value FROM status_snapshots")).scalar_one()
    return noted["difference"]


def test_an_hour_that_lacks_rows_is_named(store: Store, lake: Lake) -> None:
    read_source(store, {"2014-04-06 10": 2}, len(LINES))
    found = reconcile(store, lake).imbalances
    place = (FILE.source, "clicks.dat")
    assert found == (
        Imbalance(*place, "2014-04-06 10", 2, 0),
        Imbalance(*place, "offsets that are there", 6, 4),
        Imbalance(*place, "last offset", 5, 3),
    )


def test_a_retry_that_was_claimed_and_not_landed_is_an_imbalance(store: Store, lake: Lake) -> None:
    with store.begin() as connection:
        assert claim_retry(connection, LetterKey(FILE.source, 0, 0), CLICK.name, None)
    [one] = reconcile(store, lake).imbalances
    assert (one.source, one.came_in, one.found) == ("retry", 1, 0)
