"""Nothing that could write passes for a SELECT; what is refused would have written."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clickstream_guardian.engines.embedded.select_only import refuse_all_but_select
from clickstream_guardian.errors import UsageError

READING = [
    "SELECT 1",
    "FROM t",
    "VALUES (1)",
    "TABLE t",
    "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
    "WITH x AS MATERIALIZED (SELECT 1) SELECT (SELECT count(*) FROM x)",
    "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM r WHERE a < 3) FROM r",
    "SELECT unnest([1, 2]), {'type': 'COPY_QUERY_NODE'} FROM range(3)",
    "SELECT 'copy', \"copy\" FROM (SELECT 1 AS copy) -- COPY",
    "SELECT * FROM (PIVOT t ON a IN (1) USING count(*))",
    "SHOW TABLES",
    "DESCRIBE t",
    "SUMMARIZE t",
]

COPY = "COPY (SELECT 42 AS a) TO '{}' (FORMAT parquet, USE_TMP_FILE false)"
WRITING = [
    COPY,
    f"WITH x AS ({COPY}) SELECT 1",
    f"WITH y AS (SELECT 1), x AS ({COPY}) SELECT * FROM y",
    f"EXPLAIN ANALYZE {COPY}",
]

DOUBTFUL = [
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM read_csv('x.csv')",
    "SELECT * FROM t, LATERAL (SELECT * FROM read_text('x'))",
    "SELECT (SELECT count(*) FROM glob('*'))",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x",
    "INSERT INTO t VALUES (1)",
    "ATTACH 'x.db'",
    "PRAGMA version",
    "CALL pragma_version()",
    "INSTALL httpfs",
    "EXPLAIN SELECT 1",
    "PREPARE p AS SELECT 1",
    "BEGIN",
]


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    opened.execute("CREATE TABLE t (a INT)")
    return opened


@pytest.mark.parametrize("sql", READING)
def test_reading_passes(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    refuse_all_but_select(connection, sql)
    assert connection.execute(sql).fetchall() is not None


@pytest.mark.parametrize("sql", DOUBTFUL)
def test_what_is_not_known_to_read_is_refused(
    connection: duckdb.DuckDBPyConnection, sql: str
) -> None:
    with pytest.raises(UsageError):
        refuse_all_but_select(connection, sql)


@pytest.mark.parametrize("sql", WRITING)
def test_writing_is_refused_and_would_have_written(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, sql: str
) -> None:
    path = tmp_path / "lake.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    statement = sql.format(path)
    with pytest.raises(UsageError):
        refuse_all_but_select(connection, statement)
    connection.execute(f"SET allowed_paths = ['{path}']")
    connection.execute("SET enable_external_access = false")
    connection.execute(statement).fetchall()
    assert pq.read_table(path).to_pylist() == [{"a": 42}]
