/*
view: purchase_lines
reads: purchases
meaning: >-
  Each purchase line once, with its revenue: price times quantity, missing unless both are known.
*/
SELECT
    event_id, session_id, occurred_at, item_id,
    CAST(price AS DECIMAL(25, 2)) * quantity AS revenue,
    dt
FROM purchases
