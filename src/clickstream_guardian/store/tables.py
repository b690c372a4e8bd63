"""The tables of the serving database; ``migrations`` makes them, a test holds the two equal.

PyIceberg's catalog tables live in the same schema and are its own business.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={"pk": "%(table_name)s_pkey", "ck": "%(table_name)s_%(constraint_name)s"}
)

_instant = DateTime(timezone=True)
_now = text("now()")

sources = Table(
    "sources",
    metadata,
    Column("source", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("replay_order", Text, nullable=False),
    Column("received_at", _instant, nullable=False),
    Column("first_lines", BigInteger),
    Column("line_columns", JSONB),
    Column("events_by_hour", JSONB),
    Column("total_lines", BigInteger),
    Column("event_count", BigInteger),
    Column("rejected_count", BigInteger),
    Column("rejected_by_reason", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("late_count", BigInteger),
    Column("status", Text, nullable=False),
    Column("started_at", _instant, nullable=False, server_default=_now),
    Column("finished_at", _instant),
    CheckConstraint("status IN ('running', 'finished')", name="status_known"),
)

detector_checkpoints = Table(
    "detector_checkpoints",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("rules_fingerprint", Text, nullable=False),
    Column("lateness_us", BigInteger, nullable=False),
    Column("closed_until", _instant),
    Column("generation", BigInteger, nullable=False),
    Column("updated_at", _instant, nullable=False, server_default=_now),
    Column("longest_us", BigInteger, nullable=False, server_default=text("0")),
)

detector_positions = Table(
    "detector_positions",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("resume_offset", BigInteger, nullable=False),
    Column("resume_max_at", _instant),
    Column("resume_late_count", BigInteger, nullable=False),
    Column("ended", Boolean, nullable=False),
)

Sequence("anomaly_changes", metadata=metadata)

anomaly_sessions = Table(
    "anomaly_sessions",
    metadata,
    Column("anomaly_id", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("severity", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("window_start", _instant, nullable=False),
    Column("window_end", _instant, nullable=False),
    Column("status", Text, nullable=False),
    Column("measures", JSONB, nullable=False),
    Column("thresholds", JSONB, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("first_crossed_at", _instant, nullable=False),
    Column("crossed_event_id", Text, nullable=False),
    Column("explanation", Text, nullable=False),
    Column("sample", JSONB, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("detected_at", _instant, nullable=False, server_default=_now),
    Column("updated_at", _instant, nullable=False, server_default=_now),
    Column(
        "change_id",
        BigInteger,
        nullable=False,
        server_default=text("nextval('anomaly_changes'::regclass)"),
    ),
    Column("detected_by", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("window_start", "anomaly_id"),
    CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity_known"),
    CheckConstraint("status IN ('open', 'final', 'withdrawn')", name="status_known"),
    Index("anomaly_sessions_newest", text("window_start DESC"), "anomaly_id"),
    Index("anomaly_sessions_by_id", "anomaly_id"),
    Index("anomaly_sessions_by_rule", "rule", text("window_start DESC"), "anomaly_id"),
    Index("anomaly_sessions_by_severity", "severity", text("window_start DESC"), "anomaly_id"),
    Index("anomaly_sessions_by_session", "session_id", text("window_start DESC"), "anomaly_id"),
    Index("anomaly_sessions_by_change", "change_id"),
    Index("anomaly_sessions_open", "window_end", postgresql_where=text("status = 'open'")),
    Index(
        "anomaly_sessions_timeline",
        "window_start",
        "rule",
        postgresql_where=text("status <> 'withdrawn'"),
    ),
    Index(
        "anomaly_sessions_withdrawn",
        text("window_start DESC"),
        "anomaly_id",
        postgresql_where=text("status = 'withdrawn'"),
    ),
    postgresql_partition_by="RANGE (window_start)",
)
"""One row per anomaly; partitions ``anomaly_sessions_YYYY_MM`` are made when a month is written.

``fingerprint`` is a hash of the columns before it. ``detected_at`` is set once, ``updated_at`` and
``change_id`` on every real change. A change id becomes visible only after all smaller ones, so a
reader may go on after the last one it saw. ``detected_by`` is the checkpoint's group that said it.
"""

event.listen(
    anomaly_sessions,
    "after_create",
    DDL("ALTER TABLE anomaly_sessions ALTER COLUMN sample SET STORAGE EXTERNAL"),  # type: ignore[no-untyped-call]
)
"""Hex ids do not compress: trying to takes twice the time and saves a third of the room."""

rule_totals = Table(
    "rule_totals",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("anomaly_count", BigInteger, nullable=False),
    Column("session_count", BigInteger, nullable=False),
)
rule_sessions = Table(
    "rule_sessions",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("session_id", Text, primary_key=True),
    Column("anomaly_count", BigInteger, nullable=False),
)
rule_buckets = Table(
    "rule_buckets",
    metadata,
    Column("bucket_start", _instant, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("anomaly_count", BigInteger, nullable=False),
)
"""Anomalies (withdrawn ones left out) and different sessions, also by five minutes of
``window_start``; kept by triggers on every change."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("created_at", _instant, nullable=False, server_default=_now),
    Column("revoked_at", _instant),
)

status_snapshots = Table(
    "status_snapshots",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("updated_at", _instant, nullable=False, server_default=_now),
)
"""What only a pipeline can see (the lake, the log), for whoever asks the database alone."""

dead_letter_decisions = Table(
    "dead_letter_decisions",
    metadata,
    Column("source", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("decision", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("retry_offset", BigInteger, unique=True),
    Column("replacement", Text),
    Column("decided_at", _instant, nullable=False, server_default=_now),
    CheckConstraint("decision IN ('retried', 'dropped')", name="decision_known"),
)
"""What was decided on rejected rows of the lake; a row without a decision is open."""

alert_history = Table(
    "alert_history",
    metadata,
    Column("alert_id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("noticed_at", _instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("channel", Text),
    Column("attempts", Integer, nullable=False),
    Column("delivered_at", _instant),
    CheckConstraint(
        "outcome IN ('pending', 'delivered', 'filed', 'silenced')", name="outcome_known"
    ),
    Index("alert_history_by_rule", "rule", "key", text("alert_id DESC")),
)
"""Every notice that was ever due, whether and how it went out."""

alert_silences = Table(
    "alert_silences",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("until_at", _instant, nullable=False),
)
"""Rules not to be told of; an empty key is every key."""

session_verdicts = Table(
    "session_verdicts",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("rules", JSONB, nullable=False),
    Column("first_flagged_at", _instant),
    Column("last_flagged_at", _instant),
    Column("allowed_by", Text),
    Column("revision", BigInteger, nullable=False, server_default=text("1")),
    Column("updated_at", _instant, nullable=False, server_default=_now),
    CheckConstraint("verdict IN ('clean', 'suspect', 'abusive')", name="verdict_known"),
    Index(
        "session_verdicts_flagged",
        text("last_flagged_at DESC"),
        "session_id",
        postgresql_where=text("verdict <> 'clean'"),
    ),
)
"""One row per session that ever had an anomaly, kept by whoever writes anomalies. ``revision``
counts what changed of the verdict; a later anomaly by the same rules moves ``last_flagged_at``
alone."""

allow_list = Table(
    "allow_list",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("until_at", _instant),
    Column("added_at", _instant, nullable=False, server_default=_now),
    CheckConstraint("kind IN ('session', 'item', 'user', 'network')", name="kind_known"),
)
"""What counts towards no verdict, why, and until when (missing: until it is removed)."""

session_clients = Table(
    "session_clients",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("users", JSONB, nullable=False),
    Column("addresses", JSONB, nullable=False),
    Column("flagged_at", _instant),
)
"""Who a session comes from, as its events say; looked up when the allow-list asks for it, and
again when it was flagged after ``flagged_at``. Not for the reader role."""

excluded_sessions = Table(
    "excluded_sessions",
    metadata,
    Column("dt", Date, primary_key=True),
    Column("session_id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Index("excluded_sessions_by_session", "session_id"),
)
"""Which sessions a day's clean numbers were made without, and the rule each is blamed on. An empty
rule says that the session was found on the day, whose numbers are still to be made without it; on
the day -infinity, that its days were looked for."""

day_rules = Table(
    "day_rules",
    metadata,
    Column("dt", Date, primary_key=True),
    Column("versions", JSONB, nullable=False),
)
"""The rules, by name with their version, under which a day's clean numbers were made."""

restatements = Table(
    "restatements",
    metadata,
    Column("restatement_id", BigInteger, Identity(), primary_key=True),
    Column("dt", Date, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("raw", JSONB, nullable=False),
    Column("clean", JSONB, nullable=False),
    Column("restated_at", _instant, nullable=False, server_default=_now),
    Index("restatements_by_day", "dt", text("restatement_id DESC")),
)
"""A day's numbers as they were before they changed, and why they did."""

METRIC_TABLES: tuple[str, ...] = (
    "daily_metrics",
    "session_funnel",
    "item_daily",
    "popular_categories",
)
METRIC_VIEWS: tuple[str, ...] = ("popular_items",)
DELTA_TABLES = tuple(f"{name}_delta" for name in METRIC_TABLES)
"""What each rule's sessions take off the numbers of each metric."""

CLEAN_VIEWS = tuple(f"{name}_clean" for name in (*sorted(METRIC_TABLES), *METRIC_VIEWS))
"""Numbers without abusive sessions: raw plus all deltas."""

SERVING_TABLES: tuple[str, ...] = (
    *("sources", "detector_checkpoints", "detector_positions", "anomaly_sessions"),
    *("rule_totals", "rule_sessions", "rule_buckets", "api_keys", "status_snapshots"),
    *("dead_letter_decisions", "alert_history", "alert_silences"),
    *("session_verdicts", "allow_list"),
    *METRIC_TABLES,
    *METRIC_VIEWS,
    *DELTA_TABLES,
    *CLEAN_VIEWS,
    *("excluded_sessions", "day_rules", "restatements"),
)
"""What the reader role may read."""
