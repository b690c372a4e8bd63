"""Each event once: the views ``clicks`` and ``purchases`` are cheap where no event_id repeats.

The definition is ``metrics/views/*.sql``. It sorts every row; here only rows whose event_id
repeats go through it, and whether there are any is seen by sorting hashes. The result is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np


def has_repeats(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether an event_id may stand twice in ``table``.

    False is certain. True is wrong when two ids share a 64-bit hash, and when the rows of one id
    lie on several days: that costs time and nothing else.
    """
    rows = connection.execute(f"SELECT hash(event_id) AS hash FROM {table}").fetchnumpy()
    hashes = np.sort(rows["hash"])
    return bool((hashes[1:] == hashes[:-1]).any())


def each_once(raw_view: str, definition: str, columns: Sequence[str], landed: str) -> str:
    """A SELECT of the rows of ``raw_view`` that the definition keeps.

    Args:
        raw_view: the table that holds ``columns`` of every row.
        definition: SQL of the view, over ``raw_view`` with all columns of the lake.
        columns: the columns to return; among them ``dt`` and ``event_id``.
        landed: a SELECT of ``columns`` and whatever the definition needs besides.
    """
    selected = ", ".join(columns)
    return f"""
        WITH repeated AS (
            SELECT dt, event_id FROM {raw_view} GROUP BY dt, event_id HAVING COUNT(*) > 1
        ),
        chosen AS (
            WITH {raw_view} AS (
                SELECT * FROM ({landed}) SEMI JOIN repeated USING (dt, event_id)
            )
            SELECT {selected} FROM ({definition})
        )
        SELECT {selected} FROM {raw_view} ANTI JOIN repeated USING (dt, event_id)
        UNION ALL
        SELECT {selected} FROM chosen
    """
