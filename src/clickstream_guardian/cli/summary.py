"""What a run amounts to, gathered from the database and the lake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from clickstream_guardian.pipelines.replay import Parts, Report


@dataclass(frozen=True)
class Example:
    """One anomaly, explained."""

    anomaly_id: str
    rule: str
    severity: str
    session_id: str
    at: str
    explanation: str


@dataclass(frozen=True)
class Summary:
    """The numbers a person wants to see after a run.

    Attributes:
        files, already: names of the files replayed, and of those finished before.
        lines: non-blank lines; ``lines = events + rejected``.
        duplicates: events of the computed days that the lake holds twice.
        anomalies: final ones by rule; ``sessions`` are those with at least one.
        day: the numbers of the busiest computed day.
    """

    home: str
    database: str
    files: list[str]
    already: list[str]
    lines: int
    events: dict[str, int]
    rejected: dict[str, int]
    late: int
    duplicates: int
    days: list[date]
    anomalies: dict[str, int]
    sessions: int
    examples: list[Example]
    day: dict[str, Any] | None
    funnel: list[dict[str, Any]]
    top_items: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; decimals are text already, so that nothing is rounded."""
        return asdict(self)


def summarise(parts: Parts, report: Report) -> Summary:
    """Gather the summary of a replay."""
    with parts.store.begin() as connection:

        def rows(sql: str, **values: object) -> list[dict[str, Any]]:
            found = connection.execute(text(sql), values).mappings()
            return [{k: _plain(v) for k, v in row.items()} for row in found]

        by_rule = rows(_BY_RULE)
        examples = _of_different_sessions([Example(**row) for row in rows(_EXAMPLES)])
        sessions = rows(_SESSIONS)[0]["sessions"]
        day = next(iter(rows(_BUSIEST)), None)
        duplicates = rows(_DUPLICATES)[0]["duplicates"]
        dt = day["dt"] if day else None
        funnel = rows(_FUNNEL, dt=dt) if dt else []
        top = rows(_TOP, dt=dt) if dt else []
    return Summary(
        home=str(parts.home.root),
        database=parts.store.place,
        files=[path.name for path in report.files],
        already=[path.name for path in report.already],
        lines=report.lines,
        events=dict(report.events),
        rejected=dict(report.rejected),
        late=report.late,
        duplicates=duplicates,
        days=report.days,
        anomalies=dict(Counter({row["rule"]: row["count"] for row in by_rule})),
        sessions=sessions,
        examples=examples,
        day=day,
        funnel=funnel,
        top_items=top,
    )


def _of_different_sessions(examples: Sequence[Example]) -> list[Example]:
    first: dict[str, Example] = {}
    for example in examples:
        first.setdefault(example.session_id, example)
    return list(first.values())[:3]


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value


_BY_RULE = """
    SELECT rule, count(*) AS count FROM anomaly_sessions
    WHERE status = 'final' GROUP BY rule ORDER BY rule
"""
_SESSIONS = """
    SELECT count(DISTINCT session_id) AS sessions FROM anomaly_sessions WHERE status = 'final'
"""
_EXAMPLES = """
    SELECT anomaly_id, rule, severity, session_id, to_char(
        first_crossed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at, explanation
    FROM (
        SELECT *, row_number() OVER (PARTITION BY rule ORDER BY event_count DESC, anomaly_id) AS nth
        FROM anomaly_sessions WHERE status = 'final'
    ) AS ranked ORDER BY nth, rule LIMIT 100
"""
_BUSIEST = "SELECT * FROM daily_metrics ORDER BY total_clicks DESC, dt LIMIT 1"
_DUPLICATES = """
    SELECT coalesce(sum(source_rows - total_clicks - total_purchases), 0)::bigint AS duplicates
    FROM daily_metrics
"""
_FUNNEL = "SELECT * FROM session_funnel WHERE dt = :dt ORDER BY sessions DESC, step"
_TOP = """
    SELECT item_id, clicks, purchases, revenue FROM item_daily WHERE dt = :dt
    ORDER BY clicks DESC, item_id COLLATE "C" LIMIT 5
"""
