"""Queries over restatements: what days' numbers were before they changed, and why they did."""

from __future__ import annotations

from datetime import date

from clickstream_guardian.store.read import Query, instant
from clickstream_guardian.store.read_metrics import daily_fields, within


def page(start: date | None, end: date | None, limit: int, before: int | None) -> Query:
    """At most ``limit`` restatements of days of a range, newest first: rows ``(json, id)``.

    Args:
        start: first day, inclusive; ``end`` the last.
        limit: most rows.
        before: only those older than this one.
    """
    conditions = within("r.dt", start, end)
    if before is not None:
        conditions.append("r.restatement_id < %(before)s")
    return Query(
        f"""
        SELECT row_to_json(found)::text, found.restatement_id FROM (
            SELECT r.restatement_id, r.dt, {instant("r.restated_at")} AS restated_at, r.reasons,
                   {_numbers("raw")} AS raw, {_numbers("clean")} AS clean
            FROM restatements AS r WHERE {" AND ".join(conditions)}
            ORDER BY r.restatement_id DESC LIMIT %(limit)s
        ) AS found
        """,
        {"start": start, "end": end, "limit": limit, "before": before},
    )


def _numbers(view: str) -> str:
    """A day's numbers as they were kept, in the form of the days that are served."""
    kept = f"jsonb_populate_record(NULL::daily_metrics, r.{view})"
    return f"(SELECT row_to_json(day) FROM (SELECT {daily_fields()} FROM {kept} AS m) AS day)"
