/*
metric: session_funnel
meaning: >-
  How far the day's sessions came, one row per step. Each step counts only sessions that reached
  the step before, so the numbers never rise. DIRECT_PURCHASE stands outside the steps and holds
  every other session that bought: without any click, with one click, or before its second click
  and not again after it. So PURCHASE and DIRECT_PURCHASE add up to buying_sessions of
  daily_metrics. (A session whose purchases all came before its second click is counted in
  MULTI_VIEW and in DIRECT_PURCHASE: it had not reached MULTI_VIEW when it bought.)
reads: [session_days, buyer_clicks, purchase_lines]
key: [dt, step]
columns:
  dt: {type: day, meaning: "The UTC day."}
  step: {type: text, meaning: "VIEW: 1 click or more. MULTI_VIEW: 2 clicks or more. PURCHASE: a purchase at or after the second click. DIRECT_PURCHASE: bought without having reached MULTI_VIEW."}
  step_number: {type: count, meaning: "1 to 3 for the steps in order, 4 for DIRECT_PURCHASE."}
  sessions: {type: count, meaning: "Sessions of the day that reached the step."}
  first_sessions: {type: count, meaning: "Sessions of VIEW; 0 for DIRECT_PURCHASE, which is no step."}
  previous_sessions: {type: count, meaning: "Sessions of the step before; 0 where there is none."}
  lost_sessions: {type: count, meaning: "previous_sessions minus sessions; 0 where there is no step before."}
ratios:
  share_ratio:
    numerator: sessions
    denominator: first_sessions
    meaning: "Share of the sessions of VIEW that reached the step; missing for DIRECT_PURCHASE."
  drop_ratio:
    numerator: lost_sessions
    denominator: previous_sessions
    meaning: "Share of the step before that was lost; missing for VIEW and DIRECT_PURCHASE."
*/
WITH reached AS (
    SELECT
        dt,
        COUNT(CASE WHEN clicks >= 1 THEN 1 END) AS viewed,
        COUNT(CASE WHEN clicks >= 2 THEN 1 END) AS multi_viewed,
        COUNT(CASE WHEN purchases >= 1 THEN 1 END) AS bought
    FROM session_days
    GROUP BY dt
),
-- A purchase came at or after the second click if two clicks came at or before the last purchase.
last_purchases AS (
    SELECT dt, session_id, MAX(occurred_at) AS occurred_at
    FROM purchase_lines
    GROUP BY dt, session_id
),
purchased AS (
    SELECT dt, COUNT(*) AS sessions
    FROM (
        SELECT c.dt, c.session_id
        FROM buyer_clicks AS c
        JOIN last_purchases AS p ON p.dt = c.dt AND p.session_id = c.session_id
        WHERE c.occurred_at <= p.occurred_at
        GROUP BY c.dt, c.session_id
        HAVING COUNT(*) >= 2
    ) AS buyers
    GROUP BY dt
),
counts AS (
    SELECT
        d.dt,
        COALESCE(r.viewed, 0) AS viewed,
        COALESCE(r.multi_viewed, 0) AS multi_viewed,
        COALESCE(p.sessions, 0) AS purchased,
        COALESCE(r.bought, 0) - COALESCE(p.sessions, 0) AS bought_directly
    FROM days AS d
    LEFT JOIN reached AS r ON r.dt = d.dt
    LEFT JOIN purchased AS p ON p.dt = d.dt
),
steps AS (
    SELECT
        dt, 'VIEW' AS step, 1 AS step_number,
        viewed AS sessions, viewed AS first_sessions, 0 AS previous_sessions, 0 AS lost_sessions
    FROM counts
    UNION ALL
    SELECT dt, 'MULTI_VIEW', 2, multi_viewed, viewed, viewed, viewed - multi_viewed
    FROM counts
    UNION ALL
    SELECT dt, 'PURCHASE', 3, purchased, viewed, multi_viewed, multi_viewed - purchased
    FROM counts
    UNION ALL
    SELECT dt, 'DIRECT_PURCHASE', 4, bought_directly, 0, 0, 0
    FROM counts
)
SELECT
    dt,
    step,
    CAST(step_number AS BIGINT) AS step_number,
    CAST(sessions AS BIGINT) AS sessions,
    CAST(first_sessions AS BIGINT) AS first_sessions,
    CAST(previous_sessions AS BIGINT) AS previous_sessions,
    CAST(lost_sessions AS BIGINT) AS lost_sessions
FROM steps
