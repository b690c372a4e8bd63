"""The cheap way to each event once equals the definition."""

from __future__ import annotations

import duckdb
import pytest

from clickstream_guardian.engines.embedded.repeats import insert_repeated, select_kept
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
    connection.execute("CREATE TABLE repeated (dt TEXT, event_id INT)")
    any_repeats = insert_repeated(connection, "raw_clicks", "repeated")
    columns = ["event_id", "dt", "source", '"offset"']
    apart = "FROM landed SEMI JOIN repeated USING (dt, event_id)"
    kept = select_kept(apart, "raw_clicks", definition, columns)
    others = f"SELECT {', '.join(columns)} FROM landed ANTI JOIN repeated USING (dt, event_id)"
    connection.execute("ALTER TABLE raw_clicks RENAME TO landed")
    found = connection.execute(f"FROM ({others} UNION ALL {kept}) ORDER BY ALL").fetchall()
    connection.execute("ALTER TABLE landed RENAME TO raw_clicks")
    whole = f"SELECT {', '.join(columns)} FROM ({definition}) ORDER BY ALL"
    assert found == connection.execute(whole).fetchall()
    assert any_repeats >= (connection.execute("FROM repeated").fetchall() != [])


@pytest.mark.parametrize("repeats", [1, 30_000])
def test_repeats_are_found_few_or_many(connection: duckdb.DuckDBPyConnection, repeats: int) -> None:
    connection.execute("CREATE TABLE repeated (dt TEXT, event_id INT)")
    connection.execute("INSERT INTO raw_clicks (event_id, dt) SELECT range, 'd' FROM range(40000)")
    assert not insert_repeated(connection, "raw_clicks", "repeated")
    twice = f"SELECT range, 'd' FROM range({repeats})"
    connection.execute(f"INSERT INTO raw_clicks (event_id, dt) {twice}")
    assert insert_repeated(connection, "raw_clicks", "repeated")
    assert connection.execute("SELECT count(*) FROM repeated").fetchall() == [(repeats,)]
