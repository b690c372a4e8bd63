"""Queries over anomalies: pages, one session, totals per rule, counts in time, changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clickstream_guardian.store.read import Query, instant, ratio

_FIELDS = f"""
    a.anomaly_id, a.rule, a.rule_version, a.severity, a.status, a.session_id,
    {instant("a.window_start")} AS window_start, {instant("a.window_end")} AS window_end,
    a.measures, a.thresholds, a.event_count,
    {instant("a.first_crossed_at")} AS first_crossed_at, a.crossed_event_id, a.explanation,
    {instant("a.detected_at")} AS detected_at, {instant("a.updated_at")} AS updated_at, a.change_id
"""
_LISTED = "a.status <> 'withdrawn'"
_STATUSES = {
    None: _LISTED,
    "open": "a.status = 'open'",
    "final": "a.status = 'final'",
    "withdrawn": "a.status = 'withdrawn'",
}


@dataclass(frozen=True)
class After:
    """A place in the order newest window first, ids rising: what comes next is after it."""

    window_start: datetime
    anomaly_id: str


@dataclass(frozen=True)
class Filters:
    """Which anomalies; None means any. ``status`` None: all but withdrawn ones.

    Attributes:
        since: windows that start at or after it.
        until: windows that start before it.
    """

    rule: str | None = None
    severity: str | None = None
    session_id: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def page(filters: Filters, limit: int, after: After | None, *, sample: bool = False) -> Query:
    """At most ``limit`` anomalies, newest window first: rows ``(json,)``."""
    conditions = [_STATUSES[filters.status]]
    values: dict[str, object] = {"limit": limit}
    for name, condition in (
        ("rule", "a.rule = %(rule)s"),
        ("severity", "a.severity = %(severity)s"),
        ("session_id", "a.session_id = %(session_id)s"),
        ("since", "a.window_start >= %(since)s"),
        ("until", "a.window_start < %(until)s"),
    ):
        if (value := getattr(filters, name)) is not None:
            conditions.append(condition)
            values[name] = value
    if after is not None:
        conditions.append("a.window_start <= %(window_start)s")
        conditions.append("(a.window_start < %(window_start)s OR a.anomaly_id > %(anomaly_id)s)")
        values |= {"window_start": after.window_start, "anomaly_id": after.anomaly_id}
    fields = f"{_FIELDS}, a.sample" if sample else _FIELDS
    return Query(
        f"""
        SELECT row_to_json(found)::text FROM (
            SELECT {fields} FROM anomaly_sessions AS a WHERE {" AND ".join(conditions)}
            ORDER BY a.window_start DESC, a.anomaly_id LIMIT %(limit)s
        ) AS found
        """,
        values,
    )


def count_of_session(session_id: str) -> Query:
    """How many anomalies a session has, withdrawn ones left out: one row ``(count,)``."""
    return Query(  # naming the rules lets the key (rule, session_id) be used
        "SELECT coalesce(sum(anomaly_count), 0)::bigint FROM rule_sessions "
        "WHERE rule IN (SELECT rule FROM rule_totals) AND session_id = %(session_id)s",
        {"session_id": session_id},
    )


def types() -> Query:
    """Totals per rule, most anomalies first: rows ``(json, anomaly_count)``."""
    first, last = (
        f"(SELECT {instant('a.window_start')} FROM anomaly_sessions AS a "
        f"WHERE a.rule = t.rule AND {_LISTED} ORDER BY a.window_start {order} LIMIT 1)"
        for order in ("ASC", "DESC")
    )
    share = ratio("t.anomaly_count / sum(t.anomaly_count) OVER ()")
    return Query(
        f"""
        SELECT row_to_json(found)::text, found.anomaly_count FROM (
            SELECT t.rule, t.anomaly_count, t.session_count, {share} AS share_ratio,
                   {first} AS first_at, {last} AS last_at
            FROM rule_totals AS t WHERE t.anomaly_count > 0
            ORDER BY t.anomaly_count DESC, t.rule
        ) AS found
        """
    )


COUNTED_SECONDS = 300
"""Length of the buckets that are counted when anomalies are written."""


def timeline(start: datetime, end: datetime, bucket_seconds: int) -> Query:
    """Counts per rule, by number of the bucket from ``start``: rows ``(rule, buckets, counts)``.

    Buckets of whole five minutes are summed from counts that are kept, finer ones are counted.
    """
    if bucket_seconds % COUNTED_SECONDS:
        source, at, count = f"anomaly_sessions AS a WHERE {_LISTED} AND", "window_start", "count(*)"
    else:
        source, at, count = "rule_buckets AS a WHERE", "bucket_start", "sum(anomaly_count)"
    seconds = f"date_part('epoch', a.{at}) - date_part('epoch', %(start)s::timestamptz)"
    return Query(
        f"""
        SELECT rule, json_agg(bucket), json_agg(count) FROM (
            SELECT a.rule, floor(({seconds}) / %(bucket)s)::integer AS bucket, {count} AS count
            FROM {source} a.{at} >= %(start)s AND a.{at} < %(end)s GROUP BY 1, 2
        ) AS counted GROUP BY rule
        """,
        {"start": start, "end": end, "bucket": bucket_seconds},
    )


def newest_change() -> Query:
    """The greatest change id: one row ``(id,)``, 0 without anomalies."""
    return Query("SELECT coalesce(max(change_id), 0) FROM anomaly_sessions")


def changes(after: int, limit: int) -> Query:
    """Anomalies that changed after a change id, in order: ``(json, change_id, rule, severity)``."""
    return Query(
        f"""
        SELECT row_to_json(found)::text, found.change_id, found.rule, found.severity FROM (
            SELECT {_FIELDS} FROM anomaly_sessions AS a WHERE a.change_id > %(after)s
            ORDER BY a.change_id LIMIT %(limit)s
        ) AS found
        """,
        {"after": after, "limit": limit},
    )
