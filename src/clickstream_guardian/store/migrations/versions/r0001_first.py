"""The first tables: sources, the detector's checkpoints, anomalies, daily metrics."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

STATE = """
CREATE TABLE sources (
    source text NOT NULL,
    kind text NOT NULL,
    place text NOT NULL,
    bytes bigint NOT NULL,
    replay_order text NOT NULL,
    received_at timestamptz NOT NULL,
    first_lines bigint,
    total_lines bigint,
    event_count bigint,
    rejected_count bigint,
    rejected_by_reason jsonb NOT NULL DEFAULT '{}'::jsonb,
    late_count bigint,
    status text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT sources_pkey PRIMARY KEY (source),
    CONSTRAINT sources_status_known CHECK (status IN ('running', 'finished'))
);

CREATE TABLE detector_checkpoints (
    group_name text NOT NULL,
    rules_fingerprint text NOT NULL,
    lateness_us bigint NOT NULL,
    closed_until timestamptz,
    generation bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT detector_checkpoints_pkey PRIMARY KEY (group_name)
);

CREATE TABLE detector_positions (
    group_name text NOT NULL,
    source text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    resume_offset bigint NOT NULL,
    resume_max_at timestamptz,
    resume_late_count bigint NOT NULL,
    ended boolean NOT NULL,
    CONSTRAINT detector_positions_pkey PRIMARY KEY (group_name, source, partition)
);
"""

ANOMALIES = """
CREATE SEQUENCE anomaly_changes;

CREATE TABLE anomaly_sessions (
    anomaly_id text NOT NULL,
    rule text NOT NULL,
    rule_version integer NOT NULL,
    severity text NOT NULL,
    session_id text NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    status text NOT NULL,
    measures jsonb NOT NULL,
    thresholds jsonb NOT NULL,
    event_count bigint NOT NULL,
    first_crossed_at timestamptz NOT NULL,
    crossed_event_id text NOT NULL,
    explanation text NOT NULL,
    sample jsonb NOT NULL,
    fingerprint bytea NOT NULL,
    detected_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    change_id bigint NOT NULL DEFAULT nextval('anomaly_changes'::regclass),
    CONSTRAINT anomaly_sessions_pkey PRIMARY KEY (window_start, anomaly_id),
    CONSTRAINT anomaly_sessions_severity_known
        CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    CONSTRAINT anomaly_sessions_status_known CHECK (status IN ('open', 'final', 'withdrawn'))
) PARTITION BY RANGE (window_start);

ALTER TABLE anomaly_sessions ALTER COLUMN sample SET STORAGE EXTERNAL;

CREATE INDEX anomaly_sessions_newest ON anomaly_sessions (window_start DESC, anomaly_id);
CREATE INDEX anomaly_sessions_by_id ON anomaly_sessions (anomaly_id);
CREATE INDEX anomaly_sessions_by_rule
    ON anomaly_sessions (rule, window_start DESC, anomaly_id);
CREATE INDEX anomaly_sessions_by_severity
    ON anomaly_sessions (severity, window_start DESC, anomaly_id);
CREATE INDEX anomaly_sessions_by_session
    ON anomaly_sessions (session_id, window_start DESC, anomaly_id);
CREATE INDEX anomaly_sessions_by_change ON anomaly_sessions (change_id);
CREATE INDEX anomaly_sessions_open ON anomaly_sessions (window_end) WHERE status = 'open';
"""

METRICS = """
CREATE TABLE daily_metrics (
    dt date NOT NULL,
    total_clicks bigint NOT NULL,
    total_purchases bigint NOT NULL,
    unique_sessions bigint NOT NULL,
    unique_items bigint NOT NULL,
    buying_sessions bigint NOT NULL,
    priced_purchases bigint NOT NULL,
    priced_sessions bigint NOT NULL,
    total_revenue numeric(38, 2) NOT NULL,
    total_duration_ms bigint NOT NULL,
    source_rows bigint NOT NULL,
    conversion_rate numeric GENERATED ALWAYS AS
        (buying_sessions::numeric / NULLIF(unique_sessions, 0)) STORED,
    avg_session_duration_seconds numeric GENERATED ALWAYS AS
        (total_duration_ms::numeric / NULLIF(unique_sessions * 1000, 0)) STORED,
    avg_clicks_per_session numeric GENERATED ALWAYS AS
        (total_clicks::numeric / NULLIF(unique_sessions, 0)) STORED,
    avg_order_value numeric GENERATED ALWAYS AS
        (total_revenue::numeric / NULLIF(priced_sessions, 0)) STORED,
    CONSTRAINT daily_metrics_pkey PRIMARY KEY (dt)
);

CREATE TABLE session_funnel (
    dt date NOT NULL,
    step text NOT NULL,
    step_number bigint NOT NULL,
    sessions bigint NOT NULL,
    first_sessions bigint NOT NULL,
    previous_sessions bigint NOT NULL,
    lost_sessions bigint NOT NULL,
    share_ratio numeric GENERATED ALWAYS AS
        (sessions::numeric / NULLIF(first_sessions, 0)) STORED,
    drop_ratio numeric GENERATED ALWAYS AS
        (lost_sessions::numeric / NULLIF(previous_sessions, 0)) STORED,
    CONSTRAINT session_funnel_pkey PRIMARY KEY (dt, step)
);

CREATE TABLE item_daily (
    dt date NOT NULL,
    item_id text NOT NULL,
    clicks bigint NOT NULL,
    sessions bigint NOT NULL,
    purchases bigint NOT NULL,
    revenue numeric(38, 2) NOT NULL,
    CONSTRAINT item_daily_pkey PRIMARY KEY (dt, item_id)
);

CREATE TABLE popular_categories (
    dt date NOT NULL,
    category text NOT NULL,
    clicks bigint NOT NULL,
    sessions bigint NOT NULL,
    purchases bigint NOT NULL,
    revenue numeric(38, 2) NOT NULL,
    CONSTRAINT popular_categories_pkey PRIMARY KEY (dt, category)
);
"""

POPULAR_ITEMS = """
CREATE VIEW popular_items AS
SELECT dt, ranking, rank, item_id, clicks, sessions, purchases, revenue
FROM (
    SELECT
        dt, 'clicks' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY clicks DESC, item_id COLLATE "C") AS rank,
        item_id, clicks, sessions, purchases, revenue
    FROM item_daily
    WHERE clicks > 0
    UNION ALL
    SELECT
        dt, 'purchases' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY purchases DESC, item_id COLLATE "C") AS rank,
        item_id, clicks, sessions, purchases, revenue
    FROM item_daily
    WHERE purchases > 0
    UNION ALL
    SELECT
        dt, 'revenue' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY revenue DESC, item_id COLLATE "C") AS rank,
        item_id, clicks, sessions, purchases, revenue
    FROM item_daily
    WHERE revenue > 0
) AS ranked
WHERE rank <= 100
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(STATE)
    op.execute(ANOMALIES)
    op.execute(METRICS)
    op.execute(POPULAR_ITEMS)


def downgrade() -> None:
    """Remove the tables."""
    op.execute("DROP VIEW popular_items")
    for table in (
        *("popular_categories", "item_daily", "session_funnel", "daily_metrics"),
        *("anomaly_sessions", "detector_positions", "detector_checkpoints", "sources"),
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP SEQUENCE anomaly_changes")
