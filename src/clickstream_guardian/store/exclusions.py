"""Which sessions a day's clean numbers leave out, and of which days that is out of date.

``excluded_sessions`` is written with a day's numbers. A verdict that has changed since then shows
as a difference from it; so nobody marks a day, as nobody marks one whose rows have changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from clickstream_guardian.store.driver import driver_connection

if TYPE_CHECKING:
    import pyarrow as pa


def blamed_sessions(connection: Connection) -> pa.Table:
    """The abusive sessions, each blamed on the first by name of the rules that count against it."""
    import pyarrow as pa  # here: reading commands do without

    from clickstream_guardian.metrics.clean import BLAMED_SCHEMA

    found = driver_connection(connection).execute(_BLAMED).fetchall()
    columns = [[row[number] for row in found] for number in range(2)]
    return pa.table(columns, schema=BLAMED_SCHEMA)


def unplaced_sessions(connection: Connection) -> list[str]:
    """Abusive sessions whose days were not looked for yet."""
    driver_connection(connection).execute(_FORGET)
    return [name for (name,) in driver_connection(connection).execute(_UNPLACED)]


def place_sessions(
    connection: Connection, sought: Sequence[str], found: Sequence[tuple[str, str]]
) -> None:
    """Note on which days sessions that were looked for have events: (dt, session_id).

    One without any in the lake is noted too, so that it is not looked for again: when its events
    come in, their day is dirty by its rows.
    """
    driver = driver_connection(connection)
    driver.execute(_PLACE, (json.dumps(found),))
    driver.execute(_LOOKED_FOR, (list(sought),))


def replace_excluded(connection: Connection, days: Sequence[date], excluded: pa.Table) -> None:
    """Note which sessions the numbers of some days were just made without."""
    driver = driver_connection(connection)
    driver.execute("DELETE FROM excluded_sessions WHERE dt = ANY(%s)", (list(days),))
    with (
        driver.cursor() as cursor,
        cursor.copy("COPY excluded_sessions (dt, session_id, rule) FROM STDIN") as copy,
    ):
        for row in zip(*(column.to_pylist() for column in excluded.columns), strict=True):
            copy.write_row(row)


def restless_days(connection: Connection) -> list[date]:
    """Days whose clean numbers do not rest on the verdicts as they are now.

    A newly abusive session shows on the day it was flagged until its days were looked for.
    """
    return [dt for (dt,) in driver_connection(connection).execute(_RESTLESS)]


_ABUSIVE = "SELECT session_id, rules ->> 0 AS rule, first_flagged_at FROM session_verdicts"
_ABUSIVE += " WHERE verdict = 'abusive'"
_BLAMED = f"SELECT session_id, rule FROM ({_ABUSIVE}) AS abusive"
_NO_DAY = "NOT EXISTS (SELECT FROM excluded_sessions AS e WHERE e.session_id = abusive.session_id)"
_UNPLACED = f"SELECT session_id FROM ({_ABUSIVE}) AS abusive WHERE {_NO_DAY}"
_PLACE = """
    INSERT INTO excluded_sessions (dt, session_id, rule)
    SELECT (row ->> 0)::date, row ->> 1, '' FROM jsonb_array_elements(%s::jsonb) AS rows (row)
    ON CONFLICT DO NOTHING
"""
_LOOKED_FOR = """
    INSERT INTO excluded_sessions (dt, session_id, rule) SELECT '-infinity', unnest(%s::text[]), ''
    ON CONFLICT DO NOTHING
"""
_FORGET = f"""
    DELETE FROM excluded_sessions AS e WHERE dt = '-infinity'
    AND NOT EXISTS (SELECT FROM ({_ABUSIVE}) AS abusive WHERE abusive.session_id = e.session_id)
"""
_RESTLESS = f"""
    SELECT e.dt FROM excluded_sessions AS e LEFT JOIN ({_ABUSIVE}) AS abusive USING (session_id)
    WHERE e.dt > '-infinity' AND e.rule IS DISTINCT FROM abusive.rule
    UNION
    SELECT (first_flagged_at AT TIME ZONE 'UTC')::date FROM ({_ABUSIVE}) AS abusive WHERE {_NO_DAY}
    ORDER BY 1
"""
