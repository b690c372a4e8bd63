"""Is a text one SELECT that can only read? Judged on DuckDB's own parse of it.

Not even the kind of statement tells: since DuckDB 2.0 ``WITH x AS (COPY … TO 'file') SELECT 1`` is
a SELECT that writes, and a table function can run SQL that it is given as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from clickstream_guardian.errors import UsageError

_READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_READING_FUNCTIONS = {
    *("range", "generate_series", "unnest", "repeat", "json_each", "json_tree", "query_table"),
    *("duckdb_columns", "duckdb_functions", "duckdb_settings", "duckdb_tables", "duckdb_views"),
}
_REMEDY = "write one SELECT over the views"


def refuse_all_but_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Do nothing for a single SELECT (or SHOW, DESCRIBE, SUMMARIZE) that only reads.

    Raises:
        UsageError: it is something else.
        duckdb.Error: it cannot be parsed.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(f"The query holds {len(statements)} statements; {_REMEDY}.")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise UsageError(f"The query is no SELECT but {kind.name}; {_REMEDY}.")
    for part in _parts(_parsed(connection, sql)):
        word = _forbidden(part)
        if word is not None:
            raise UsageError(f"The query holds {word}, which may do more than read; {_REMEDY}.")


def _parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    rows = connection.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [sql]).fetchall()
    parsed = json.loads(rows[0][0])
    if parsed["error"]:
        raise UsageError(f"The query is no plain SELECT; {_REMEDY}.")
    return parsed


def _parts(parsed: Any) -> Iterator[dict[str, Any]]:
    waiting = [parsed]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _forbidden(part: dict[str, Any]) -> str | None:
    kind = part.get("type")
    if not isinstance(kind, str):
        return None
    if kind.endswith("_NODE") and kind not in _READING_NODES:
        return kind.removesuffix("_NODE").removesuffix("_QUERY").replace("_", " ")
    if kind == "TABLE_FUNCTION":
        name = str(part["function"]["function_name"]).lower()
        return None if name in _READING_FUNCTIONS else f"the table function {name}"
    return None
