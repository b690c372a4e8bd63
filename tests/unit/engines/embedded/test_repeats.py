"""The cheap way to each event once equals the definition."""

from __future__ import annotations

import duckdb
import pytest

from clickstream_guardian.engines.embedded.repeats import (
    has_repeats,
    select_once,
    select_repeated,
)
from clickstream_guardian.metrics.loader import load_engine_views

RAW = {
    "none repeats": [(1, "d1", "a", 0), (2, "d1", "a", 1)],
    "one repeats": [(1, "d1", "b", 0), (1, "d1", "a", 1), (2, "d1", "a", 2)],
    "every one repeats": [(1, "d1", "a", 1), (1, "d1", "a", 0), (1, "d1", "a", 2)],
    "on two days": [(1, "d1", "a", 0), (1, "d2", "a", 1), (1, "d2", "a", 2)],
    "nothing": [],
}


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    opened.execute(
        'CREATE TABLE raw_clicks (event_id INT, dt TEXT, source TEXT, "offset" INT, '
        '"partition" INT DEFAULT 0, received_at INT DEFAULT 0)'
    )
    return opened


@pytest.mark.parametrize("case", RAW)
def test_same_rows_as_the_definition(connection: duckdb.DuckDBPyConnection, case: str) -> None:
    for row in RAW[case]:
        connection.execute(
            'INSERT INTO raw_clicks (event_id, dt, source, "offset") VALUES (?, ?, ?, ?)', row
        )
    definition = next(view.sql for view in load_engine_views() if view.name == "clicks")
    connection.execute(f"CREATE TABLE repeated AS {select_repeated('raw_clicks')}")
    connection.execute("CREATE TABLE landed AS FROM raw_clicks")
    columns = ["event_id", "dt", "source", '"offset"']
    cheap = select_once(
        "landed", "repeated", "raw_clicks", definition, "SELECT * FROM landed", columns
    )
    found = connection.execute(f"FROM ({cheap}) ORDER BY ALL").fetchall()
    whole = f"SELECT {', '.join(columns)} FROM ({definition}) ORDER BY ALL"
    assert found == connection.execute(whole).fetchall()
    repeats = connection.execute("SELECT COUNT(*) FROM repeated").fetchall() != [(0,)]
    assert has_repeats(connection, "raw_clicks") >= repeats


def test_ids_that_differ_are_no_repeats(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("INSERT INTO raw_clicks (event_id) SELECT range FROM range(100000)")
    assert not has_repeats(connection, "raw_clicks")
    connection.execute("INSERT INTO raw_clicks (event_id) VALUES (77777)")
    assert has_repeats(connection, "raw_clicks")
