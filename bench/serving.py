"""Fills a database as large as serving must bear: a million anomalies over 183 days of metrics.

Rows are made by PostgreSQL itself, so a million takes seconds. Everything in the database goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import psycopg

FIRST_DAY = date(2014, 4, 1)
SESSIONS = 200_000
FIRST_SESSION = 1_000_000
RICH_SESSIONS = 2_000
"""The first so many sessions have samples of 100 events, the others of 2, to save room."""

_COUNTS = ("rule_totals", "rule_sessions", "rule_buckets")
_METRIC_TABLES = ("daily_metrics", "session_funnel", "item_daily", "popular_categories")
_STEP = 7919  # spreads neighbouring anomalies over the sessions; prime to their number


@dataclass(frozen=True)
class Size:
    """How much to make.

    Attributes:
        items: items that are clicked or bought on a day.
    """

    anomalies: int = 1_000_000
    days: int = 183
    items: int = 16_000
    categories: int = 340


def fill(url: str, size: Size = Size()) -> None:
    """Empty the serving tables and fill them anew.

    Args:
        url: of the role that owns the tables, without a driver's name.
        size: how much.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '256MB'")
        _anomalies(connection, size)
        _verdicts(connection)
        _daily(connection, size)
        _state(connection, size)
        for table in (*_COUNTS, *_METRIC_TABLES, "anomaly_sessions", "session_verdicts"):
            connection.execute(f"VACUUM ANALYZE {table}")


def last_day(size: Size = Size()) -> date:
    """The newest day that ``fill`` makes."""
    return FIRST_DAY + timedelta(days=size.days - 1)


def _anomalies(connection: psycopg.Connection, size: Size) -> None:
    """Month by month into tables of their own, which are indexed when they are attached."""
    connection.execute("TRUNCATE anomaly_sessions")
    month, end = FIRST_DAY.replace(day=1), last_day(size)
    while month <= end:
        following = (month + timedelta(days=32)).replace(day=1)
        name = f"anomaly_sessions_{month:%Y_%m}"
        connection.execute(f"DROP TABLE IF EXISTS {name}")
        connection.execute(
            f"CREATE TABLE {name} (LIKE anomaly_sessions INCLUDING DEFAULTS INCLUDING CONSTRAINTS "
            "INCLUDING STORAGE)"
        )
        first = max(month, FIRST_DAY)
        days = (min(following, end + timedelta(days=1)) - first).days
        per_day = size.anomalies / size.days
        offset = round((first - FIRST_DAY).days * per_day)
        count = round(((first - FIRST_DAY).days + days) * per_day) - offset
        connection.execute(
            f"INSERT INTO {name} {_ANOMALIES}",
            {"offset": offset, "count": count, "first": first, "seconds": days * 86400},
        )
        connection.execute(
            f"ALTER TABLE anomaly_sessions ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{month} 00:00Z') TO ('{following} 00:00Z')"
        )
        month = following
    connection.execute("SELECT recount_anomalies()")


_SESSION = f"mod(i * {_STEP}::bigint, {SESSIONS})"
_ANOMALIES = f"""
    (anomaly_id, rule, rule_version, severity, session_id, window_start, window_end, status,
     measures, thresholds, event_count, first_crossed_at, crossed_event_id, explanation, sample,
     fingerprint)
    SELECT md5('a' || i), rule, 1, severity, ({FIRST_SESSION} + session)::text, at,
           at + span, CASE WHEN mod(i, 1000) = 0 THEN 'withdrawn' ELSE 'final' END,
           jsonb_build_object('clicks', clicks), '{{"clicks": ">= 50"}}', clicks,
           at + interval '7 s', md5('e' || i), clicks || ' clicks in 10 seconds',
           CASE WHEN session < {RICH_SESSIONS} THEN rich ELSE poor END, decode(md5('a' || i), 'hex')
    FROM (
        SELECT i, {_SESSION} AS session, 50 + mod(i, 90) AS clicks,
               %(first)s::date::timestamptz
                   + floor((i - %(offset)s) * (%(seconds)s::float8 / %(count)s) / 10)
                   * interval '10 seconds' AS at,
               CASE WHEN mod(i, 3) = 0 THEN 'BOT_LIKE' ELSE 'HIGH_FREQUENCY' END AS rule,
               CASE WHEN mod(i, 3) = 0 THEN 'critical' ELSE 'high' END AS severity,
               CASE WHEN mod(i, 3) = 0 THEN interval '60 s' ELSE interval '10 s' END AS span
        FROM generate_series(%(offset)s::bigint, %(offset)s::bigint + %(count)s - 1) AS i
    ) AS made, (
        SELECT jsonb_build_object('occurred_at', jsonb_agg(at) FILTER (WHERE n <= 2),
                                  'item_id', jsonb_agg(item) FILTER (WHERE n <= 2),
                                  'event_id', jsonb_agg(id) FILTER (WHERE n <= 2)) AS poor,
               jsonb_build_object('occurred_at', jsonb_agg(at), 'item_id', jsonb_agg(item),
                                  'event_id', jsonb_agg(id)) AS rich
        FROM (
            SELECT n, '2014-04-07T10:51:09.' || (100 + n) || 'Z' AS at,
                   (214530000 + n)::text AS item, md5('s' || n) AS id
            FROM generate_series(1, 100) AS n
        ) AS events
    ) AS samples
"""


def _verdicts(connection: psycopg.Connection) -> None:
    connection.execute("TRUNCATE session_verdicts")
    connection.execute(
        """
        INSERT INTO session_verdicts (session_id, verdict, score, rules, first_flagged_at,
                                      last_flagged_at)
        SELECT session_id, CASE WHEN mod(session_id::bigint, 4) = 0 THEN 'suspect'
                                ELSE 'abusive' END,
               0.9, jsonb_agg(DISTINCT rule), min(first_crossed_at), max(first_crossed_at)
        FROM anomaly_sessions WHERE status <> 'withdrawn' GROUP BY session_id
        """
    )


def _daily(connection: psycopg.Connection, size: Size) -> None:
    """Items fall off as in the YOOCHOOSE set: 1 % of the clicks on the first, half on one click."""
    connection.execute(f"TRUNCATE {', '.join(_METRIC_TABLES)}")
    values = {"first": FIRST_DAY, "days": size.days, "n": size.items, "categories": size.categories}
    connection.execute("SELECT setseed(0.5)")
    for statement in (_ITEMS, _CATEGORIES, _METRICS, _FUNNEL):
        connection.execute(statement, values)


_DAYS = "generate_series(0, %(days)s - 1) AS day"
_ITEMS = f"""
    INSERT INTO item_daily (dt, item_id, clicks, sessions, purchases, revenue)
    SELECT dt, item_id, clicks, greatest(1, clicks * 3 / 5), bought, bought * 20.90
    FROM (
        SELECT %(first)s::date + day AS dt, (214500000 + r * 31)::text AS item_id,
               greatest(1, (73600 / power(r + 22.0::float8, 1.15) * (0.8 + 0.4 * random()))::bigint)
                   AS clicks,
               CASE WHEN mod(r, 8) = 0 THEN 1 + 2000 / (r + 40) ELSE 0 END AS bought
        FROM {_DAYS}, generate_series(1, %(n)s) AS r
    ) AS made
"""
_CATEGORIES = f"""
    INSERT INTO popular_categories (dt, category, clicks, sessions, purchases, revenue)
    SELECT %(first)s::date + day, CASE WHEN c = 1 THEN 'S' ELSE c::text END,
           60000 / c, 20000 / c, 2000 / c, 2000 / c * 20.90
    FROM {_DAYS}, generate_series(1, %(categories)s) AS c
"""
_METRICS = """
    INSERT INTO daily_metrics (dt, total_clicks, total_purchases, unique_sessions, unique_items,
        buying_sessions, priced_purchases, priced_sessions, total_revenue, total_duration_ms,
        source_rows)
    SELECT dt, sum(clicks), sum(purchases), sum(clicks) / 4, count(*), sum(clicks) / 70,
           sum(purchases) / 2, sum(clicks) / 150, sum(revenue), sum(clicks) * 98765,
           sum(clicks) + sum(purchases)
    FROM item_daily GROUP BY dt
"""
_FUNNEL = """
    INSERT INTO session_funnel (dt, step, step_number, sessions, first_sessions,
                                previous_sessions, lost_sessions)
    SELECT dt, step, number, reached, CASE WHEN number = 4 THEN 0 ELSE unique_sessions END,
           CASE WHEN number IN (2, 3) THEN before ELSE 0 END,
           CASE WHEN number IN (2, 3) THEN before - reached ELSE 0 END
    FROM daily_metrics, LATERAL (VALUES
        ('VIEW', 1, unique_sessions, 0), ('MULTI_VIEW', 2, unique_sessions / 2, unique_sessions),
        ('PURCHASE', 3, unique_sessions / 20, unique_sessions / 2),
        ('DIRECT_PURCHASE', 4, unique_sessions / 500, 0)
    ) AS steps (step, number, reached, before)
"""


def _state(connection: psycopg.Connection, size: Size) -> None:
    connection.execute("TRUNCATE sources, detector_checkpoints, detector_positions")
    connection.execute(
        """
        INSERT INTO sources (source, kind, place, bytes, replay_order, received_at, total_lines,
            event_count, rejected_count, rejected_by_reason, late_count, status, finished_at)
        SELECT md5(kind), kind, 'yoochoose-' || kind || 's.dat', 1500000000, 'time', now(), lines,
               lines - 12, 12, '{"time_out_of_range": 12}', 3, 'finished', now()
        FROM (VALUES ('click', 33003956::bigint), ('purchase', 1150765)) AS files (kind, lines)
        """
    )
    newest = f"{last_day(size)} 23:59:59.999Z"
    connection.execute(
        "INSERT INTO detector_checkpoints VALUES ('embedded', 'x', 10000000, %s, 7, now())",
        (newest,),
    )
    connection.execute(
        "INSERT INTO detector_positions SELECT 'embedded', source, 0, total_lines, total_lines, "
        "%s, late_count, true FROM sources",
        (newest,),
    )
