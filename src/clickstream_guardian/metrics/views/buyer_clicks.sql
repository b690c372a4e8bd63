/*
view: buyer_clicks
reads: [clicks, purchase_lines]
meaning: The clicks of sessions that bought on the same day.
*/
SELECT c.event_id, c.session_id, c.occurred_at, c.item_id, c.category, c.dt
FROM clicks AS c
JOIN (SELECT DISTINCT dt, session_id FROM purchase_lines) AS b
    ON b.dt = c.dt AND b.session_id = c.session_id
