/*
metric: daily_metrics
meaning: >-
  The day in one row. A session is counted on every day on which it has an event, with that day's
  events only.
reads: [session_days, item_clicks, raw_clicks, raw_purchases]
key: [dt]
columns:
  dt: {type: day, meaning: "The UTC day."}
  total_clicks: {type: count, meaning: "Clicks."}
  total_purchases: {type: count, meaning: "Purchase lines."}
  unique_sessions: {type: count, meaning: "Sessions with any event, click or purchase."}
  unique_items: {type: count, meaning: "Items that were clicked."}
  buying_sessions: {type: count, meaning: "Sessions with a purchase line."}
  priced_purchases: {type: count, meaning: "Purchase lines whose price and quantity are known."}
  priced_sessions: {type: count, meaning: "Sessions with such a line."}
  total_revenue: {type: money, meaning: "Sum of price times quantity over the lines where both are known."}
  total_duration_ms: {type: count, meaning: "Sum over sessions of last minus first event of the day, in milliseconds."}
  source_rows: {type: count, meaning: "Rows of the day in the lake, clicks and purchases, duplicates included; a day whose lake count differs is dirty."}
ratios:
  conversion_rate:
    numerator: buying_sessions
    denominator: unique_sessions
    meaning: "Share of the sessions that bought."
  avg_session_duration_seconds:
    numerator: total_duration_ms
    denominator: unique_sessions
    scale: 1000
    meaning: "Mean over sessions of last minus first event of the day, in seconds; 0 for a single event."
  avg_clicks_per_session:
    numerator: total_clicks
    denominator: unique_sessions
    meaning: "Clicks per session."
  avg_order_value:
    numerator: total_revenue
    denominator: priced_sessions
    meaning: "Revenue per session with a priced line."
*/
WITH sessions AS (
    SELECT
        dt,
        SUM(clicks) AS total_clicks,
        SUM(purchases) AS total_purchases,
        COUNT(*) AS unique_sessions,
        COUNT(CASE WHEN purchases > 0 THEN 1 END) AS buying_sessions,
        SUM(priced_purchases) AS priced_purchases,
        COUNT(CASE WHEN priced_purchases > 0 THEN 1 END) AS priced_sessions,
        SUM(revenue) AS total_revenue,
        SUM(UNIX_MILLIS(last_at) - UNIX_MILLIS(first_at)) AS total_duration_ms
    FROM session_days
    GROUP BY dt
),
items AS (
    SELECT dt, COUNT(*) AS unique_items
    FROM item_clicks
    GROUP BY dt
),
click_rows AS (SELECT dt, COUNT(*) AS row_count FROM raw_clicks GROUP BY dt),
purchase_rows AS (SELECT dt, COUNT(*) AS row_count FROM raw_purchases GROUP BY dt)
SELECT
    d.dt,
    CAST(COALESCE(s.total_clicks, 0) AS BIGINT) AS total_clicks,
    CAST(COALESCE(s.total_purchases, 0) AS BIGINT) AS total_purchases,
    CAST(COALESCE(s.unique_sessions, 0) AS BIGINT) AS unique_sessions,
    CAST(COALESCE(i.unique_items, 0) AS BIGINT) AS unique_items,
    CAST(COALESCE(s.buying_sessions, 0) AS BIGINT) AS buying_sessions,
    CAST(COALESCE(s.priced_purchases, 0) AS BIGINT) AS priced_purchases,
    CAST(COALESCE(s.priced_sessions, 0) AS BIGINT) AS priced_sessions,
    CAST(COALESCE(s.total_revenue, 0) AS DECIMAL(38, 2)) AS total_revenue,
    CAST(COALESCE(s.total_duration_ms, 0) AS BIGINT) AS total_duration_ms,
    CAST(COALESCE(c.row_count, 0) + COALESCE(p.row_count, 0) AS BIGINT) AS source_rows
FROM days AS d
LEFT JOIN sessions AS s ON s.dt = d.dt
LEFT JOIN items AS i ON i.dt = d.dt
LEFT JOIN click_rows AS c ON c.dt = d.dt
LEFT JOIN purchase_rows AS p ON p.dt = d.dt
