"""Each event once: the views ``clicks`` and ``purchases`` are cheap where no event_id repeats.

The definition is ``metrics/views/*.sql``. It sorts every row; here only rows whose event_id
repeats go through it, and which ids may is seen by sorting hashes. The result is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np

_FEW = 20_000


def insert_repeated(connection: duckdb.DuckDBPyConnection, rows: str, into: str) -> bool:
    """Insert each (dt, event_id) that stands twice or more in ``rows``.

    Args:
        connection: where both are.
        rows: a table, or a SELECT in brackets, with ``dt`` and ``event_id``.
        into: a table of ``dt`` and ``event_id``.

    Returns:
        Whether there may be any: False is certain.
    """
    found = connection.execute(f"SELECT hash(event_id) AS hash FROM {rows}").fetchnumpy()
    hashes = np.sort(found["hash"])
    repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not repeated.size:
        return False
    suspects = "WHERE hash(event_id) IN (SELECT unnest(CAST(? AS UBIGINT[])))"
    few = repeated.size <= _FEW
    connection.execute(
        f"INSERT INTO {into} SELECT dt, event_id FROM {rows} {suspects if few else ''} "
        "GROUP BY dt, event_id HAVING COUNT(*) > 1",
        [repeated.tolist()] if few else [],
    )
    return True


def select_kept(rows: str, raw_view: str, definition: str, columns: Sequence[str]) -> str:
    """A SELECT of what the definition keeps of some rows.

    Args:
        rows: a SELECT with all that the definition reads.
        raw_view: the name by which the definition knows them.
        definition: SQL of the view.
        columns: what to return.
    """
    return f"SELECT {', '.join(columns)} FROM (WITH {raw_view} AS ({rows}) FROM ({definition}))"
