"""The history of alerts, silences, and how far the anomalies have been looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from clickstream_guardian.store.driver import driver_connection
from clickstream_guardian.store.tables import alert_history, alert_silences, anomaly_sessions

_GROUPS = """
    WITH changed AS (
        SELECT DISTINCT rule, session_id FROM anomaly_sessions
        WHERE change_id > %(after)s AND change_id <= %(upto)s
        UNION SELECT * FROM unnest(%(rules)s::text[], %(sessions)s::text[])
    )
    SELECT rule, session_id, totals.anomaly_count, newest.severity, newest.explanation
    FROM changed JOIN rule_sessions AS totals USING (rule, session_id)
    CROSS JOIN LATERAL (
        SELECT severity, explanation FROM anomaly_sessions AS a
        WHERE a.session_id = changed.session_id AND a.rule = changed.rule
          AND a.status <> 'withdrawn'
        ORDER BY a.window_start DESC LIMIT 1
    ) AS newest
"""


@dataclass(frozen=True)
class SessionAnomalies:
    """The anomalies of a session by one rule: how many, and what the newest says."""

    rule: str
    session_id: str
    count: int
    severity: str
    explanation: str


@dataclass(frozen=True)
class AlertRow:
    """One notice in the history; see ``store.tables.alert_history``."""

    source: str
    rule: str
    key: str
    severity: str
    state: str
    summary: str
    count: int
    added: int
    noticed_at: datetime
    outcome: str = "pending"
    channel: str | None = None
    attempts: int = 0
    delivered_at: datetime | None = None


@dataclass(frozen=True)
class SilenceRow:
    """A rule that is not told of for a while; key None is every key."""

    rule: str
    key: str | None
    until_at: datetime


def newest_change(connection: Connection) -> int:
    """The last change of an anomaly; 0 without any."""
    return connection.scalar(select(func.max(anomaly_sessions.c.change_id))) or 0


def changed_sessions(
    connection: Connection, after: int, upto: int, besides: Sequence[tuple[str, str]]
) -> list[SessionAnomalies]:
    """The (rule, session) pairs whose anomalies changed, and some besides, as they are now."""
    values = {
        "after": after,
        "upto": upto,
        "rules": [rule for rule, _ in besides],
        "sessions": [session for _, session in besides],
    }
    found = driver_connection(connection).execute(_GROUPS, values)
    return [SessionAnomalies(*row) for row in found]


def connections_in_use(connection: Connection) -> tuple[int, int]:
    """Connections of clients to the server, and how many there may be."""
    found = driver_connection(connection).execute(
        "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity "
        "WHERE backend_type = 'client backend'"
    )
    used, most = found.fetchone() or (0, 1)
    return used, most


def save_alerts(connection: Connection, rows: Sequence[AlertRow]) -> list[int]:
    """Add notices to the history; their numbers."""
    return [
        connection.execute(
            insert(alert_history).values(vars(row)).returning(alert_history.c.alert_id)
        ).scalar_one()
        for row in rows
    ]


def mark_alerts(
    connection: Connection, ids: Sequence[int], outcome: str, channel: str, attempts: int
) -> None:
    """Note how pending notices went out."""
    values = {"outcome": outcome, "channel": channel, "attempts": attempts}
    connection.execute(
        alert_history.update()
        .where(alert_history.c.alert_id.in_(ids), alert_history.c.outcome == "pending")
        .values(values | {"delivered_at": func.now()})
    )


def list_alerts(
    connection: Connection, limit: int, outcome: str | None = None
) -> list[tuple[int, AlertRow]]:
    """The newest notices with their numbers, newest first."""
    query = select(alert_history).order_by(alert_history.c.alert_id.desc()).limit(limit)
    if outcome is not None:
        query = query.where(alert_history.c.outcome == outcome)
    return [_numbered(dict(row)) for row in connection.execute(query).mappings()]


def last_alerts(connection: Connection, within: timedelta) -> list[AlertRow]:
    """The newest notice of each rule and key; those of anomalies only if not older than so."""
    columns = alert_history.c
    recent = (columns.source != "anomaly") | (columns.noticed_at > func.now() - within)
    query = (
        select(alert_history)
        .where(recent)
        .ext(distinct_on(columns.rule, columns.key))
        .order_by(columns.rule, columns.key, columns.alert_id.desc())
    )
    return [_numbered(dict(row))[1] for row in connection.execute(query).mappings()]


def save_silence(connection: Connection, silence: SilenceRow) -> None:
    """Silence a rule (and key) until an instant; one in the past ends it."""
    key = silence.key or ""
    statement = insert(alert_silences).values(rule=silence.rule, key=key, until_at=silence.until_at)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["rule", "key"], set_={"until_at": silence.until_at}
        )
    )


def list_silences(connection: Connection) -> list[SilenceRow]:
    """What is silenced now."""
    query = select(alert_silences).where(alert_silences.c.until_at > func.now())
    found = connection.execute(query.order_by(alert_silences.c.until_at)).mappings()
    return [SilenceRow(row["rule"], row["key"] or None, row["until_at"]) for row in found]


def _numbered(row: dict[str, Any]) -> tuple[int, AlertRow]:
    return row.pop("alert_id"), AlertRow(**row)
