/*
metric: popular_categories
meaning: >-
  Every category that was clicked or bought from on the day, one row each. A purchase line belongs
  to the category of its session's last click on the same item at or before it on the same day
  (of clicks at the same instant the one with the greatest event_id); it belongs to `unknown` when
  there is no such click or that click has no category. So clicks, purchases and revenue add up to
  those of daily_metrics.
reads: [clicks, buyer_clicks, purchase_lines]
key: [dt, category]
columns:
  dt: {type: day, meaning: "The UTC day."}
  category: {type: text, meaning: "The category; `unknown` where it is missing."}
  clicks: {type: count, meaning: "Clicks in the category."}
  sessions: {type: count, meaning: "Sessions that clicked in it or have a purchase line in it."}
  purchases: {type: count, meaning: "Purchase lines that belong to it."}
  revenue: {type: money, meaning: "Sum of price times quantity over those lines where both are known."}
*/
WITH timeline AS (
    SELECT
        dt, session_id, item_id, occurred_at, event_id, 0 AS is_purchase,
        COALESCE(category, 'unknown') AS category,
        CAST(NULL AS DECIMAL(38, 2)) AS revenue
    FROM buyer_clicks
    UNION ALL
    SELECT
        dt, session_id, item_id, occurred_at, event_id, 1,
        CAST(NULL AS VARCHAR),
        revenue
    FROM purchase_lines
),
placed AS (
    SELECT
        dt, session_id, is_purchase, revenue,
        LAST_VALUE(category IGNORE NULLS) OVER (
            PARTITION BY dt, session_id, item_id
            ORDER BY occurred_at, is_purchase, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS category
    FROM timeline
),
bought_in_sessions AS (
    SELECT
        dt, COALESCE(category, 'unknown') AS category, session_id,
        COUNT(*) AS purchases, SUM(revenue) AS revenue
    FROM placed
    WHERE is_purchase = 1
    GROUP BY dt, COALESCE(category, 'unknown'), session_id
),
clicked_by_buyers AS (
    SELECT DISTINCT dt, COALESCE(category, 'unknown') AS category, session_id
    FROM buyer_clicks
),
-- A session that bought in the category without a click in it is not among `clicked.sessions`.
bought AS (
    SELECT
        b.dt, b.category,
        SUM(b.purchases) AS purchases,
        SUM(b.revenue) AS revenue,
        COUNT(CASE WHEN c.session_id IS NULL THEN 1 END) AS unclicked_sessions
    FROM bought_in_sessions AS b
    LEFT JOIN clicked_by_buyers AS c
        ON c.dt = b.dt AND c.category = b.category AND c.session_id = b.session_id
    GROUP BY b.dt, b.category
),
clicked AS (
    SELECT dt, category, SUM(clicks) AS clicks, COUNT(*) AS sessions
    FROM (
        SELECT dt, COALESCE(category, 'unknown') AS category, session_id, COUNT(*) AS clicks
        FROM clicks
        GROUP BY dt, COALESCE(category, 'unknown'), session_id
    ) AS visits
    GROUP BY dt, category
)
SELECT
    dt,
    category,
    CAST(COALESCE(clicks, 0) AS BIGINT) AS clicks,
    CAST(COALESCE(sessions, 0) + COALESCE(unclicked_sessions, 0) AS BIGINT) AS sessions,
    CAST(COALESCE(purchases, 0) AS BIGINT) AS purchases,
    CAST(COALESCE(revenue, 0) AS DECIMAL(38, 2)) AS revenue
FROM clicked
FULL OUTER JOIN bought USING (dt, category)
