/*
view: item_clicks
reads: [clicks]
meaning: One row per day and item clicked on it, with its clicks and the sessions that clicked it.
*/
SELECT dt, item_id, SUM(clicks) AS clicks, COUNT(*) AS sessions
FROM (
    SELECT dt, item_id, session_id, COUNT(*) AS clicks
    FROM clicks
    GROUP BY dt, item_id, session_id
) AS visits
GROUP BY dt, item_id
