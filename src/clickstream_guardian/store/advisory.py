"""Advisory locks: what must happen one at a time in the database, whoever does it.

The first number of each lock is a constant of this program, so that it does not meet the locks of
others in a shared database.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date
from enum import IntEnum

import psycopg

_MOST_DAY_LOCKS = 64


class Lock(IntEnum):
    """Locks by a number of their own."""

    MIGRATION = 77_610_001
    ANOMALIES = 77_610_002
    DEAD_LETTERS = 77_610_003


def lock_for_transaction(connection: psycopg.Connection, lock: Lock) -> None:
    """Hold the lock alone until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (int(lock),))


def lock_days(connection: psycopg.Connection, table: str, days: Sequence[date]) -> None:
    """Hold some days of a table alone until the transaction ends.

    Few days are locked one by one, in order, so that two runs over different days go side by
    side; many days lock the whole table.
    """
    key = zlib.crc32(table.encode())
    numbers = sorted({day.toordinal() for day in days})
    if len(numbers) > _MOST_DAY_LOCKS:
        connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (_signed(key),))
        return
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", (_signed(key),))
    for number in numbers:
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_signed(key), number))


def _signed(number: int) -> int:
    """The number as PostgreSQL's 32-bit signed integer."""
    return number - 2**32 if number >= 2**31 else number
