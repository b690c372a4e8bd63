"""Cheaper reads: counts per rule and five minutes for the timeline, item histories for trending."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

TABLE = """
CREATE TABLE rule_buckets (
    bucket_start timestamptz NOT NULL,
    rule text NOT NULL,
    anomaly_count bigint NOT NULL,
    CONSTRAINT rule_buckets_pkey PRIMARY KEY (bucket_start, rule)
);
"""

INDEX = """
CREATE INDEX item_daily_by_item ON item_daily (item_id, dt) INCLUDE (clicks) WHERE clicks >= 20;
"""

_BUCKET = "date_bin('5 minutes', window_start, '2000-01-01 00:00Z')"

# Both transition tables are named `touched`; the trigger's argument says whether they come or go.
COUNTING = f"""
CREATE OR REPLACE FUNCTION count_anomalies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rule_buckets AS stored (bucket_start, rule, anomaly_count)
    SELECT {_BUCKET}, rule, TG_ARGV[0]::bigint * count(*)
    FROM touched WHERE status <> 'withdrawn' GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (bucket_start, rule)
        DO UPDATE SET anomaly_count = stored.anomaly_count + excluded.anomaly_count;
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
    TRUNCATE rule_buckets, rule_sessions, rule_totals;
    INSERT INTO rule_buckets SELECT {_BUCKET}, rule, count(*)
    FROM anomaly_sessions WHERE status <> 'withdrawn' GROUP BY 1, 2;
    INSERT INTO rule_sessions SELECT rule, session_id, count(*)
    FROM anomaly_sessions WHERE status <> 'withdrawn' GROUP BY rule, session_id;
    INSERT INTO rule_totals SELECT rule, sum(anomaly_count), count(*)
    FROM rule_sessions GROUP BY rule;
$$;

CREATE OR REPLACE FUNCTION forget_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE rule_buckets, rule_sessions, rule_totals;
    RETURN NULL;
END $$;

SELECT recount_anomalies();
"""


def upgrade() -> None:
    """Make them, and count what is there."""
    op.execute(TABLE)
    op.execute(INDEX)
    op.execute(COUNTING)


def downgrade() -> None:
    """Count as revision 0002 did, and remove the table."""
    from clickstream_guardian.store.migrations.versions import r0002_serving

    functions = r0002_serving.COUNTING.partition("CREATE TRIGGER")[0]
    op.execute(functions)
    op.execute("DROP TABLE rule_buckets")
    op.execute("DROP INDEX item_daily_by_item")
