from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pytest

from clickstream_guardian.dashboard import tables


def test_csv_reads_back_as_it_was() -> None:
    rows = [{"session_id": 'a,"b"\nc', "events": 3, "day": date(2014, 4, 7), "none": None}]
    read = list(csv.DictReader(io.StringIO(tables.to_csv(rows), newline="")))
    assert read == [{"session_id": 'a,"b"\nc', "events": "3", "day": "2014-04-07", "none": ""}]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_run_is_disarmed(text: str) -> None:
    read = list(csv.reader(io.StringIO(tables.to_csv([{"id": text}]), newline="")))
    assert read[1] == [f"'{text}"]


def test_a_negative_number_stays_a_number() -> None:
    assert tables.to_csv([{"n": -5}]) == "n\r\n-5\r\n"


def test_instants_are_rfc_3339() -> None:
    at = datetime(2014, 4, 7, 10, 51, 9, 277_000, tzinfo=UTC)
    assert tables.to_csv([{"at": at}]) == "at\r\n2014-04-07T10:51:09.277000Z\r\n"


def test_no_rows_make_an_empty_file() -> None:
    assert tables.to_csv([]) == ""
    assert tables.columns_of([]) == {}
