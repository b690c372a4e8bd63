"""Who flagged sessions come from, as far as an allow-list of users and networks asks for it.

Users and addresses stand in the lake. Of a session with anomalies they are copied here, when an
entry in force asks for them, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import Connection

from clickstream_guardian.store.driver import driver_connection
from clickstream_guardian.verdicts import Clients

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Strangers:
    """Sessions of which it is not known who they come from, and the days to look at."""

    sessions: Sequence[str]
    first: date
    last: date


def strangers(connection: Connection) -> Strangers | None:
    """Whom to look for; None where no entry asks, or all are known.

    A session that is flagged again later is looked for again: others may have joined it.
    """
    found = driver_connection(connection).execute(_STRANGERS).fetchall()
    if not found:
        return None
    days = [day for _, first, last in found for day in (first, last)]
    return Strangers([name for name, _, _ in found], min(days), max(days))


def save_clients(connection: Connection, found: pa.Table) -> list[str]:
    """Note who sessions come from.

    Args:
        connection: where.
        found: session_id, user_id and ip, one row for each event or each different one.

    Returns:
        The sessions. One without an event in the lake is not among them, and is looked for again.
    """
    by_session: dict[str, tuple[set[str], set[str]]] = {}
    names = ("session_id", "user_id", "ip")
    for session_id, user, address in zip(*(found[n].to_pylist() for n in names), strict=True):
        users, addresses = by_session.setdefault(session_id, (set(), set()))
        users |= {user} - {None}
        addresses |= {address} - {None}
    rows = [
        {"session_id": name, "users": sorted(users), "addresses": sorted(addresses)}
        for name, (users, addresses) in by_session.items()
    ]
    driver_connection(connection).execute(_SAVE, (json.dumps(rows),))
    return sorted(by_session)


def clients_of(driver: psycopg.Connection, sessions: Sequence[str]) -> Mapping[str, Clients]:
    """Who these sessions come from, of those it is known of."""
    return {
        name: Clients(frozenset(users), frozenset(addresses))
        for name, users, addresses in driver.execute(_CLIENTS, (list(sessions),))
    }


_STRANGERS = """
    SELECT v.session_id, (v.first_flagged_at AT TIME ZONE 'UTC')::date - 1,
           (v.last_flagged_at AT TIME ZONE 'UTC')::date + 1
    FROM session_verdicts AS v LEFT JOIN session_clients AS c USING (session_id)
    WHERE v.last_flagged_at IS NOT NULL AND v.last_flagged_at > coalesce(c.flagged_at, '-infinity')
      AND EXISTS (SELECT FROM allow_list WHERE kind IN ('user', 'network')
                  AND (until_at IS NULL OR until_at > now()))
    ORDER BY v.session_id
"""
_SAVE = """
    INSERT INTO session_clients AS stored (session_id, users, addresses, flagged_at)
    SELECT session_id, users, addresses, last_flagged_at
    FROM jsonb_to_recordset(%s::jsonb) AS given (session_id text, users jsonb, addresses jsonb)
    JOIN session_verdicts USING (session_id)
    ON CONFLICT (session_id) DO UPDATE SET
        users = excluded.users, addresses = excluded.addresses, flagged_at = excluded.flagged_at
"""
_CLIENTS = "SELECT session_id, users, addresses FROM session_clients WHERE session_id = ANY(%s)"
