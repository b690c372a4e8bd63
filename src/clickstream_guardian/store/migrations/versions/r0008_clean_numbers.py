"""Clean numbers: what each rule takes off a metric, and views of what is left."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = """
CREATE TABLE daily_metrics_delta (
    dt date NOT NULL,
    rule text NOT NULL,
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
    CONSTRAINT daily_metrics_delta_pkey PRIMARY KEY (dt, rule)
);

CREATE TABLE item_daily_delta (
    dt date NOT NULL,
    rule text NOT NULL,
    item_id text NOT NULL,
    clicks bigint NOT NULL,
    sessions bigint NOT NULL,
    purchases bigint NOT NULL,
    revenue numeric(38, 2) NOT NULL,
    CONSTRAINT item_daily_delta_pkey PRIMARY KEY (dt, rule, item_id)
);

CREATE TABLE popular_categories_delta (
    dt date NOT NULL,
    rule text NOT NULL,
    category text NOT NULL,
    clicks bigint NOT NULL,
    sessions bigint NOT NULL,
    purchases bigint NOT NULL,
    revenue numeric(38, 2) NOT NULL,
    CONSTRAINT popular_categories_delta_pkey PRIMARY KEY (dt, rule, category)
);

CREATE TABLE session_funnel_delta (
    dt date NOT NULL,
    rule text NOT NULL,
    step text NOT NULL,
    step_number bigint NOT NULL,
    sessions bigint NOT NULL,
    first_sessions bigint NOT NULL,
    previous_sessions bigint NOT NULL,
    lost_sessions bigint NOT NULL,
    CONSTRAINT session_funnel_delta_pkey PRIMARY KEY (dt, rule, step)
);

CREATE TABLE excluded_sessions (
    dt date NOT NULL,
    session_id text NOT NULL,
    rule text NOT NULL,
    CONSTRAINT excluded_sessions_pkey PRIMARY KEY (dt, session_id)
);
CREATE INDEX excluded_sessions_by_session ON excluded_sessions (session_id);
"""

VIEWS = {
    "daily_metrics_clean": """
    SELECT
      dt,
      total_clicks,
      total_purchases,
      unique_sessions,
      unique_items,
      buying_sessions,
      priced_purchases,
      priced_sessions,
      total_revenue,
      total_duration_ms,
      source_rows,
      CAST(buying_sessions AS DECIMAL) / NULLIF(unique_sessions, 0) AS conversion_rate,
      CAST(total_duration_ms AS DECIMAL) / NULLIF(unique_sessions * 1000, 0)
          AS avg_session_duration_seconds,
      CAST(total_clicks AS DECIMAL) / NULLIF(unique_sessions, 0) AS avg_clicks_per_session,
      CAST(total_revenue AS DECIMAL) / NULLIF(priced_sessions, 0) AS avg_order_value
    FROM (
      SELECT
        m.dt,
        CAST((
          m.total_clicks + COALESCE(d.total_clicks, 0)
        ) AS BIGINT) AS total_clicks,
        CAST((
          m.total_purchases + COALESCE(d.total_purchases, 0)
        ) AS BIGINT) AS total_purchases,
        CAST((
          m.unique_sessions + COALESCE(d.unique_sessions, 0)
        ) AS BIGINT) AS unique_sessions,
        CAST((
          m.unique_items + COALESCE(d.unique_items, 0)
        ) AS BIGINT) AS unique_items,
        CAST((
          m.buying_sessions + COALESCE(d.buying_sessions, 0)
        ) AS BIGINT) AS buying_sessions,
        CAST((
          m.priced_purchases + COALESCE(d.priced_purchases, 0)
        ) AS BIGINT) AS priced_purchases,
        CAST((
          m.priced_sessions + COALESCE(d.priced_sessions, 0)
        ) AS BIGINT) AS priced_sessions,
        CAST((
          m.total_revenue + COALESCE(d.total_revenue, 0)
        ) AS DECIMAL(38, 2)) AS total_revenue,
        CAST((
          m.total_duration_ms + COALESCE(d.total_duration_ms, 0)
        ) AS BIGINT) AS total_duration_ms,
        CAST((
          m.source_rows + COALESCE(d.source_rows, 0)
        ) AS BIGINT) AS source_rows
      FROM daily_metrics AS m
      LEFT JOIN (
        SELECT
          dt,
          CAST(SUM(total_clicks) AS BIGINT) AS total_clicks,
          CAST(SUM(total_purchases) AS BIGINT) AS total_purchases,
          CAST(SUM(unique_sessions) AS BIGINT) AS unique_sessions,
          CAST(SUM(unique_items) AS BIGINT) AS unique_items,
          CAST(SUM(buying_sessions) AS BIGINT) AS buying_sessions,
          CAST(SUM(priced_purchases) AS BIGINT) AS priced_purchases,
          CAST(SUM(priced_sessions) AS BIGINT) AS priced_sessions,
          CAST(SUM(total_revenue) AS DECIMAL(38, 2)) AS total_revenue,
          CAST(SUM(total_duration_ms) AS BIGINT) AS total_duration_ms,
          CAST(SUM(source_rows) AS BIGINT) AS source_rows
        FROM daily_metrics_delta
        GROUP BY
          dt
      ) AS d
        USING (dt)
    ) AS clean
""",
    "item_daily_clean": """
    SELECT
      dt,
      item_id,
      clicks,
      sessions,
      purchases,
      revenue
    FROM (
      SELECT
        m.dt,
        m.item_id,
        CAST((
          m.clicks + COALESCE(d.clicks, 0)
        ) AS BIGINT) AS clicks,
        CAST((
          m.sessions + COALESCE(d.sessions, 0)
        ) AS BIGINT) AS sessions,
        CAST((
          m.purchases + COALESCE(d.purchases, 0)
        ) AS BIGINT) AS purchases,
        CAST((
          m.revenue + COALESCE(d.revenue, 0)
        ) AS DECIMAL(38, 2)) AS revenue
      FROM item_daily AS m
      LEFT JOIN (
        SELECT
          dt,
          item_id,
          CAST(SUM(clicks) AS BIGINT) AS clicks,
          CAST(SUM(sessions) AS BIGINT) AS sessions,
          CAST(SUM(purchases) AS BIGINT) AS purchases,
          CAST(SUM(revenue) AS DECIMAL(38, 2)) AS revenue
        FROM item_daily_delta
        GROUP BY
          dt,
          item_id
      ) AS d
        USING (dt, item_id)
    ) AS clean
    WHERE
      clicks <> 0 OR sessions <> 0 OR purchases <> 0 OR revenue <> 0
""",
    "popular_categories_clean": """
    SELECT
      dt,
      category,
      clicks,
      sessions,
      purchases,
      revenue
    FROM (
      SELECT
        m.dt,
        m.category,
        CAST((
          m.clicks + COALESCE(d.clicks, 0)
        ) AS BIGINT) AS clicks,
        CAST((
          m.sessions + COALESCE(d.sessions, 0)
        ) AS BIGINT) AS sessions,
        CAST((
          m.purchases + COALESCE(d.purchases, 0)
        ) AS BIGINT) AS purchases,
        CAST((
          m.revenue + COALESCE(d.revenue, 0)
        ) AS DECIMAL(38, 2)) AS revenue
      FROM popular_categories AS m
      LEFT JOIN (
        SELECT
          dt,
          category,
          CAST(SUM(clicks) AS BIGINT) AS clicks,
          CAST(SUM(sessions) AS BIGINT) AS sessions,
          CAST(SUM(purchases) AS BIGINT) AS purchases,
          CAST(SUM(revenue) AS DECIMAL(38, 2)) AS revenue
        FROM popular_categories_delta
        GROUP BY
          dt,
          category
      ) AS d
        USING (dt, category)
    ) AS clean
    WHERE
      clicks <> 0 OR sessions <> 0 OR purchases <> 0 OR revenue <> 0
""",
    "session_funnel_clean": """
    SELECT
      dt,
      step,
      step_number,
      sessions,
      first_sessions,
      previous_sessions,
      lost_sessions,
      CAST(sessions AS DECIMAL) / NULLIF(first_sessions, 0) AS share_ratio,
      CAST(lost_sessions AS DECIMAL) / NULLIF(previous_sessions, 0) AS drop_ratio
    FROM (
      SELECT
        m.dt,
        m.step,
        CAST((
          m.step_number + COALESCE(d.step_number, 0)
        ) AS BIGINT) AS step_number,
        CAST((
          m.sessions + COALESCE(d.sessions, 0)
        ) AS BIGINT) AS sessions,
        CAST((
          m.first_sessions + COALESCE(d.first_sessions, 0)
        ) AS BIGINT) AS first_sessions,
        CAST((
          m.previous_sessions + COALESCE(d.previous_sessions, 0)
        ) AS BIGINT) AS previous_sessions,
        CAST((
          m.lost_sessions + COALESCE(d.lost_sessions, 0)
        ) AS BIGINT) AS lost_sessions
      FROM session_funnel AS m
      LEFT JOIN (
        SELECT
          dt,
          step,
          CAST(SUM(step_number) AS BIGINT) AS step_number,
          CAST(SUM(sessions) AS BIGINT) AS sessions,
          CAST(SUM(first_sessions) AS BIGINT) AS first_sessions,
          CAST(SUM(previous_sessions) AS BIGINT) AS previous_sessions,
          CAST(SUM(lost_sessions) AS BIGINT) AS lost_sessions
        FROM session_funnel_delta
        GROUP BY
          dt,
          step
      ) AS d
        USING (dt, step)
    ) AS clean
    WHERE
      step_number <> 0
      OR sessions <> 0
      OR first_sessions <> 0
      OR previous_sessions <> 0
      OR lost_sessions <> 0
""",
    "popular_items_clean": """
    SELECT
      dt,
      ranking,
      rank,
      item_id,
      clicks,
      sessions,
      purchases,
      revenue
    FROM (
      SELECT
        dt,
        'clicks' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY clicks DESC, item_id COLLATE "C") AS rank,
        item_id,
        clicks,
        sessions,
        purchases,
        revenue
      FROM item_daily_clean
      WHERE
        clicks > 0
      UNION ALL
      SELECT
        dt,
        'purchases' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY purchases DESC, item_id COLLATE "C") AS rank,
        item_id,
        clicks,
        sessions,
        purchases,
        revenue
      FROM item_daily_clean
      WHERE
        purchases > 0
      UNION ALL
      SELECT
        dt,
        'revenue' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY revenue DESC, item_id COLLATE "C") AS rank,
        item_id,
        clicks,
        sessions,
        purchases,
        revenue
      FROM item_daily_clean
      WHERE
        revenue > 0
    ) AS ranked
    WHERE
      rank <= 100
""",
}


def upgrade() -> None:
    """Make the tables and the views."""
    op.execute(TABLES)
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {select}")


def downgrade() -> None:
    """Remove them."""
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    for metric in ("daily_metrics", "session_funnel", "item_daily", "popular_categories"):
        op.execute(f"DROP TABLE {metric}_delta")
    op.execute("DROP TABLE excluded_sessions")
