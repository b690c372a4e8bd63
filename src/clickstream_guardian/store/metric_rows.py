"""Writes the days of a metric: a day is replaced whole, so computing it again changes nothing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from psycopg import sql
from sqlalchemy import Connection

from clickstream_guardian.store.advisory import lock_days
from clickstream_guardian.store.driver import driver_connection

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 50_000


def replace_days(connection: Connection, table: str, days: Sequence[date], rows: pa.Table) -> int:
    """Replace the rows of ``days`` in a metric table, in the caller's transaction.

    Two runs of one day wait for each other: the later one stands, whole. A transaction that
    replaces several tables takes them in one order everywhere.

    Args:
        connection: where.
        table: a metric's table.
        days: the days to replace; a day without rows is emptied.
        rows: columns named as the table's, of those days only.

    Returns:
        How many rows were written.
    """
    driver = driver_connection(connection)
    lock_days(driver, table, days)
    name = sql.Identifier(table)
    driver.execute(sql.SQL("DELETE FROM {} WHERE dt = ANY(%s)").format(name), (list(days),))
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(name, columns)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for batch in rows.to_batches(max_chunksize=_BATCH_ROWS):
            copy.write(_as_csv(batch))
    return int(rows.num_rows)


def _as_csv(batch: pa.RecordBatch) -> memoryview:
    """The batch as CSV; text is quoted, so that empty text and NULL stay apart."""
    from pyarrow import csv  # here: reading commands do without

    buffer = io.BytesIO()
    csv.write_csv(batch, buffer, csv.WriteOptions(include_header=False))
    return buffer.getbuffer()


def stored_source_rows(connection: Connection) -> dict[date, int]:
    """Per computed day how many rows of the lake its metrics were made of."""
    found = driver_connection(connection).execute("SELECT dt, source_rows FROM daily_metrics")
    return dict(found.fetchall())
