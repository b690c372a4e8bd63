/*
view: session_days
reads: [clicks, purchase_lines]
meaning: One row per session and day on which it has an event, with that day's events only.
*/
WITH clicked AS (
    SELECT
        dt, session_id,
        COUNT(*) AS clicks, MIN(occurred_at) AS first_at, MAX(occurred_at) AS last_at
    FROM clicks
    GROUP BY dt, session_id
),
bought AS (
    SELECT
        dt, session_id,
        COUNT(*) AS purchases,
        COUNT(revenue) AS priced_purchases,
        SUM(revenue) AS revenue,
        MIN(occurred_at) AS first_at, MAX(occurred_at) AS last_at
    FROM purchase_lines
    GROUP BY dt, session_id
)
SELECT
    dt,
    session_id,
    COALESCE(c.clicks, 0) AS clicks,
    COALESCE(b.purchases, 0) AS purchases,
    COALESCE(b.priced_purchases, 0) AS priced_purchases,
    b.revenue,
    LEAST(c.first_at, b.first_at) AS first_at,
    GREATEST(c.last_at, b.last_at) AS last_at,
    b.last_at AS last_purchase_at
FROM clicked AS c
FULL OUTER JOIN bought AS b USING (dt, session_id)
