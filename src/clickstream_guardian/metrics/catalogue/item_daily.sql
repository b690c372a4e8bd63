/*
metric: item_daily
meaning: >-
  Every item that was clicked or bought on the day, one row each. Clicks, purchases and revenue add
  up to those of daily_metrics.
reads: [item_clicks, buyer_clicks, purchase_lines]
key: [dt, item_id]
columns:
  dt: {type: day, meaning: "The UTC day."}
  item_id: {type: text, meaning: "The item."}
  clicks: {type: count, meaning: "Clicks on the item; 0 if it was only bought."}
  sessions: {type: count, meaning: "Sessions that clicked or bought it."}
  purchases: {type: count, meaning: "Purchase lines of the item."}
  revenue: {type: money, meaning: "Sum of price times quantity over its lines where both are known."}
*/
WITH bought_in_sessions AS (
    SELECT
        dt, item_id, session_id,
        COUNT(*) AS purchases, SUM(revenue) AS revenue
    FROM purchase_lines
    GROUP BY dt, item_id, session_id
),
clicked_by_buyers AS (SELECT DISTINCT dt, item_id, session_id FROM buyer_clicks),
-- A session that bought the item without a click on it is not among `item_clicks.sessions`.
bought AS (
    SELECT
        b.dt, b.item_id,
        SUM(b.purchases) AS purchases,
        SUM(b.revenue) AS revenue,
        COUNT(CASE WHEN c.session_id IS NULL THEN 1 END) AS unclicked_sessions
    FROM bought_in_sessions AS b
    LEFT JOIN clicked_by_buyers AS c
        ON c.dt = b.dt AND c.item_id = b.item_id AND c.session_id = b.session_id
    GROUP BY b.dt, b.item_id
)
SELECT
    dt,
    item_id,
    CAST(COALESCE(clicks, 0) AS BIGINT) AS clicks,
    CAST(COALESCE(sessions, 0) + COALESCE(unclicked_sessions, 0) AS BIGINT) AS sessions,
    CAST(COALESCE(purchases, 0) AS BIGINT) AS purchases,
    CAST(COALESCE(revenue, 0) AS DECIMAL(38, 2)) AS revenue
FROM item_clicks
FULL OUTER JOIN bought USING (dt, item_id)
