"""What serving needs: counts per rule, indexes of the read routes, API keys, status snapshots."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE rule_totals (
    rule text NOT NULL,
    anomaly_count bigint NOT NULL,
    session_count bigint NOT NULL,
    CONSTRAINT rule_totals_pkey PRIMARY KEY (rule)
);

CREATE TABLE rule_sessions (
    rule text NOT NULL,
    session_id text NOT NULL,
    anomaly_count bigint NOT NULL,
    CONSTRAINT rule_sessions_pkey PRIMARY KEY (rule, session_id)
);

CREATE TABLE api_keys (
    key_id text NOT NULL,
    name text NOT NULL,
    key_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (key_id)
);

CREATE TABLE status_snapshots (
    name text NOT NULL,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT status_snapshots_pkey PRIMARY KEY (name)
);
"""

INDEXES = """
CREATE INDEX anomaly_sessions_timeline
    ON anomaly_sessions (window_start, rule) WHERE status <> 'withdrawn';
CREATE INDEX anomaly_sessions_withdrawn
    ON anomaly_sessions (window_start DESC, anomaly_id) WHERE status = 'withdrawn';

CREATE INDEX item_daily_by_clicks
    ON item_daily (dt, clicks DESC) WHERE clicks >= 20;
CREATE INDEX item_daily_by_purchases
    ON item_daily (dt, purchases DESC) WHERE purchases > 0;
CREATE INDEX item_daily_by_revenue
    ON item_daily (dt, revenue DESC) WHERE revenue > 0;
"""

# Both transition tables are named `touched`; the trigger's argument says whether they come or go.
COUNTING = """
CREATE OR REPLACE FUNCTION count_anomalies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH changes AS (
        SELECT rule, session_id, TG_ARGV[0]::bigint * count(*) AS change
        FROM touched WHERE status <> 'withdrawn' GROUP BY rule, session_id
    ),
    counted AS (
        INSERT INTO rule_sessions AS stored (rule, session_id, anomaly_count)
        SELECT rule, session_id, change FROM changes ORDER BY rule, session_id
        ON CONFLICT (rule, session_id)
            DO UPDATE SET anomaly_count = stored.anomaly_count + excluded.anomaly_count
        RETURNING rule, session_id, anomaly_count
    )
    INSERT INTO rule_totals AS stored (rule, anomaly_count, session_count)
    SELECT rule, sum(change),
           sum((anomaly_count > 0)::integer - (anomaly_count - change > 0)::integer)
    FROM changes JOIN counted USING (rule, session_id) GROUP BY rule ORDER BY rule
    ON CONFLICT (rule) DO UPDATE SET
        anomaly_count = stored.anomaly_count + excluded.anomaly_count,
        session_count = stored.session_count + excluded.session_count;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION recount_anomalies() RETURNS void LANGUAGE sql AS $$
    TRUNCATE rule_sessions, rule_totals;
    INSERT INTO rule_sessions SELECT rule, session_id, count(*)
    FROM anomaly_sessions WHERE status <> 'withdrawn' GROUP BY rule, session_id;
    INSERT INTO rule_totals SELECT rule, sum(anomaly_count), count(*)
    FROM rule_sessions GROUP BY rule;
$$;

CREATE OR REPLACE FUNCTION forget_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE rule_sessions, rule_totals;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON anomaly_sessions
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION count_anomalies('1');
CREATE TRIGGER count_deleted AFTER DELETE ON anomaly_sessions
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION count_anomalies('-1');
CREATE TRIGGER count_before_update AFTER UPDATE ON anomaly_sessions
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION count_anomalies('-1');
CREATE TRIGGER count_updated AFTER UPDATE ON anomaly_sessions
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION count_anomalies('1');
CREATE TRIGGER forget_counts AFTER TRUNCATE ON anomaly_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION forget_counts();

SELECT recount_anomalies();
"""


def upgrade() -> None:
    """Make them, and count what is there."""
    op.execute(TABLES)
    op.execute(INDEXES)
    op.execute(COUNTING)


def downgrade() -> None:
    """Remove them."""
    for trigger in (
        *("count_inserted", "count_deleted", "count_before_update", "count_updated"),
        "forget_counts",
    ):
        op.execute(f"DROP TRIGGER {trigger} ON anomaly_sessions")
    for function in ("count_anomalies", "recount_anomalies", "forget_counts"):
        op.execute(f"DROP FUNCTION {function}")
    for index in (
        *("anomaly_sessions_timeline", "anomaly_sessions_withdrawn"),
        *("item_daily_by_clicks", "item_daily_by_purchases", "item_daily_by_revenue"),
    ):
        op.execute(f"DROP INDEX {index}")
    for table in ("rule_sessions", "rule_totals", "api_keys", "status_snapshots"):
        op.execute(f"DROP TABLE {table}")
