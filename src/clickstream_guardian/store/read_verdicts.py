"""Queries over verdicts: one session's, and the decisions that follow."""

from __future__ import annotations

from datetime import datetime

from clickstream_guardian.store.read import Query, instant

MOMENTS = 100
"""Anomalies on a session's timeline."""


def session(session_id: str) -> Query:
    """One session's verdict, evidence and timeline: at most one row ``(json,)``."""
    return Query(
        f"""
        SELECT row_to_json(found)::text FROM (
            SELECT v.session_id, v.verdict, v.score, v.rules,
                   {instant("v.first_flagged_at")} AS first_flagged_at,
                   {instant("v.last_flagged_at")} AS last_flagged_at,
                   v.allowed_by, v.revision, {instant("v.updated_at")} AS updated_at,
                   ({_EVIDENCE}) AS evidence, ({_TIMELINE}) AS timeline
            FROM session_verdicts AS v WHERE v.session_id = %(session_id)s
        ) AS found
        """,
        {"session_id": session_id},
    )


def decisions(as_of: datetime, seconds: int, verdict: str | None, limit: int) -> Query:
    """What lives at a moment, newest first: rows ``(json, session_id)``."""
    only = "" if verdict is None else "AND v.verdict = %(verdict)s"
    life = "make_interval(secs => %(seconds)s)"
    expires = f"v.last_flagged_at + {life}"
    return Query(
        f"""
        SELECT row_to_json(found)::text, found.session_id FROM (
            SELECT v.session_id,
                   CASE v.verdict WHEN 'abusive' THEN 'block' ELSE 'challenge' END AS action,
                   v.score, v.rules, {instant("v.last_flagged_at")} AS flagged_at,
                   {instant(expires)} AS expires_at,
                   round(extract(epoch FROM {expires} - %(as_of)s), 3)::float8
                       AS time_to_live_seconds
            FROM session_verdicts AS v
            WHERE v.verdict <> 'clean' AND v.last_flagged_at <= %(as_of)s
              AND v.last_flagged_at > %(as_of)s - {life} {only}
            ORDER BY v.last_flagged_at DESC, v.session_id LIMIT %(limit)s
        ) AS found
        """,
        {"as_of": as_of, "seconds": seconds, "verdict": verdict, "limit": limit},
    )


_EVIDENCE = """
    SELECT coalesce(json_agg(row_to_json(one) ORDER BY one.rule), '[]') FROM (
        SELECT t.rule, newest.severity, t.anomaly_count, newest.explanation
        FROM rule_sessions AS t CROSS JOIN LATERAL (
            SELECT a.severity, a.explanation FROM anomaly_sessions AS a
            WHERE a.session_id = t.session_id AND a.rule = t.rule AND a.status <> 'withdrawn'
            ORDER BY a.window_start DESC, a.anomaly_id LIMIT 1
        ) AS newest
        WHERE t.rule IN (SELECT rule FROM rule_totals) AND t.session_id = %(session_id)s
          AND t.anomaly_count > 0
    ) AS one
"""
_TIMELINE = f"""
    SELECT coalesce(json_agg(row_to_json(one) ORDER BY one.at, one.anomaly_id), '[]') FROM (
        SELECT {instant("a.first_crossed_at")} AS at, a.rule, a.severity, a.status,
               a.explanation, a.anomaly_id
        FROM anomaly_sessions AS a
        WHERE a.session_id = %(session_id)s AND a.status <> 'withdrawn'
        ORDER BY a.window_start DESC, a.anomaly_id LIMIT {MOMENTS}
    ) AS one
"""
