"""Each event once: the views ``clicks`` and ``purchases`` are cheap where no event_id repeats.

The definition is ``metrics/views/*.sql``. It sorts every row; here only rows whose event_id
repeats go through it, and whether there are any is seen by sorting hashes. The result is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np


def has_repeats(connection: duckdb.DuckDBPyConnection, rows: str) -> bool:
    """Whether an event_id may stand twice in a table or SELECT.

    False is certain. True is wrong when two ids share a 64-bit hash, and when the rows of one id
    lie on several days: that costs time and nothing else.
    """
    found = connection.execute(f"SELECT hash(event_id) AS hash FROM {rows}").fetchnumpy()
    hashes = np.sort(found["hash"])
    return bool((hashes[1:] == hashes[:-1]).any())


def select_repeated(rows: str) -> str:
    """A SELECT of each (dt, event_id) that stands twice or more in a table or SELECT."""
    return f"SELECT dt, event_id FROM {rows} GROUP BY dt, event_id HAVING COUNT(*) > 1"


def select_once(
    rows: str, repeated: str, raw_view: str, definition: str, landed: str, columns: Sequence[str]
) -> str:
    """A SELECT of the rows that a view's definition keeps.

    Args:
        rows: table with ``columns`` of every row.
        repeated: table of ``select_repeated``.
        raw_view: the name by which the definition knows the rows.
        definition: SQL of the view.
        landed: SELECT of ``columns`` and of what the definition reads besides.
        columns: what to return; among it ``dt`` and ``event_id``.
    """
    selected = ", ".join(columns)
    return f"""
        SELECT {selected} FROM {rows} ANTI JOIN {repeated} USING (dt, event_id)
        UNION ALL
        SELECT {selected} FROM (
            WITH {raw_view} AS (
                SELECT * FROM ({landed}) SEMI JOIN {repeated} USING (dt, event_id)
            )
            SELECT * FROM ({definition})
        )
    """
