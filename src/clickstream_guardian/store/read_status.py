"""Queries about Guardian itself: freshness, what came in, positions, what pipelines last saw."""

from __future__ import annotations

from clickstream_guardian.store.read import Query, instant

_NEWEST_EVENT = """
    greatest(
        (SELECT max(resume_max_at) FROM detector_positions),
        (SELECT first_crossed_at FROM anomaly_sessions ORDER BY window_start DESC LIMIT 1)
    )
"""
"""SQL: the greatest event time that detection is known to have seen."""

SOURCES_SHOWN = 100
POSITIONS_SHOWN = 1000


def newest_event() -> Query:
    """Event time of the newest event seen: one row ``(instant,)``, None without any."""
    return Query(f"SELECT {_NEWEST_EVENT}")


def freshness() -> Query:
    """How fresh the content is: one row ``(json,)``."""
    return Query(
        f"""
        SELECT row_to_json(found)::text FROM (
            SELECT 'ready' AS status, {instant("newest_event_at")} AS newest_event_at,
                   {instant("last_written_at")} AS last_written_at,
                   round(extract(epoch FROM now() - last_written_at), 3) AS last_written_seconds
            FROM (
                SELECT {_NEWEST_EVENT} AS newest_event_at,
                       (SELECT max(updated_at) FROM detector_checkpoints) AS last_written_at
            ) AS seen
        ) AS found
        """
    )


def status() -> Query:
    """Everything ``/status`` is made of, seen at one moment: one row ``(json,)``.

    Keys: ``now``, ``newest_event_at``, ``totals`` (over the sources), ``reasons`` (rejections by
    reason), ``days`` (over the computed days), ``snapshots``, ``sources``, ``positions``.
    """
    return Query(
        f"""
        SELECT json_build_object(
            'now', {instant("now()")},
            'newest_event_at', {instant(_NEWEST_EVENT)},
            'totals', (SELECT row_to_json(t) FROM ({_TOTALS}) AS t),
            'reasons', (SELECT coalesce(json_object_agg(reason, count), '{{}}')
                        FROM ({_REASONS}) AS t),
            'days', (SELECT row_to_json(t) FROM ({_DAYS}) AS t),
            'snapshots', (SELECT coalesce(json_object_agg(name, row_to_json(t)), '{{}}')
                          FROM ({_SNAPSHOTS}) AS t),
            'sources', (SELECT coalesce(json_agg(t), '[]') FROM ({_SOURCES}) AS t),
            'positions', (SELECT coalesce(json_agg(t), '[]') FROM ({_POSITIONS}) AS t)
        )::text
        """
    )


_TOTALS = """
    SELECT coalesce(sum(total_lines), 0)::bigint AS lines,
           coalesce(sum(rejected_count), 0)::bigint AS rejected,
           coalesce(sum(late_count), 0)::bigint AS late,
           count(*) AS sources, count(*) FILTER (WHERE status = 'running') AS running
    FROM sources
"""
_REASONS = """
    SELECT key AS reason, sum(value::bigint)::bigint AS count
    FROM sources, jsonb_each_text(rejected_by_reason) GROUP BY key ORDER BY key
"""
_DAYS = """
    SELECT (SELECT max(dt) FROM daily_metrics) AS newest_dt, count(*) AS day_count,
           coalesce(sum(source_rows), 0)::bigint AS rows,
           coalesce(sum(total_clicks + total_purchases), 0)::bigint AS events
    FROM daily_metrics
"""
_SNAPSHOTS = f"SELECT name, value, {instant('updated_at')} AS updated_at FROM status_snapshots"
_SOURCES = f"""
    SELECT source, kind, place, status, total_lines, event_count, rejected_count, late_count,
           {instant("s.started_at")} AS started_at, {instant("s.finished_at")} AS finished_at
    FROM sources AS s ORDER BY s.started_at DESC, source LIMIT {SOURCES_SHOWN}
"""
_POSITIONS = f"""
    SELECT group_name, source, partition, next_offset,
           {instant("resume_max_at")} AS newest_event_at, ended
    FROM detector_positions ORDER BY group_name, source, partition LIMIT {POSITIONS_SHOWN}
"""
