/*
view: popular_items
reads: item_daily
meaning: >-
  The day's leading items, three rankings of at most 100 each: by clicks, by purchases and by
  revenue. An item without any of what is ranked is in no such ranking; equal items stand in the
  bytewise order of item_id.
key: [dt, ranking, rank]
columns:
  dt: {type: day, meaning: "The UTC day."}
  ranking: {type: text, meaning: "What is ranked: clicks, purchases or revenue."}
  rank: {type: count, meaning: "Place in the ranking, from 1."}
  item_id: {type: text, meaning: "The item."}
  clicks: {type: count, meaning: "Clicks on the item."}
  sessions: {type: count, meaning: "Sessions that clicked or bought it."}
  purchases: {type: count, meaning: "Purchase lines of the item."}
  revenue: {type: money, meaning: "Its known revenue."}
*/
SELECT dt, ranking, rank, item_id, clicks, sessions, purchases, revenue
FROM (
    SELECT
        dt, 'clicks' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY clicks DESC, item_id COLLATE "C") AS rank,
        item_id, clicks, sessions, purchases, revenue
    FROM item_daily
    WHERE clicks > 0
    UNION ALL
    SELECT
        dt, 'purchases' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY purchases DESC, item_id COLLATE "C") AS rank,
        item_id, clicks, sessions, purchases, revenue
    FROM item_daily
    WHERE purchases > 0
    UNION ALL
    SELECT
        dt, 'revenue' AS ranking,
        ROW_NUMBER() OVER (PARTITION BY dt ORDER BY revenue DESC, item_id COLLATE "C") AS rank,
        item_id, clicks, sessions, purchases, revenue
    FROM item_daily
    WHERE revenue > 0
) AS ranked
WHERE rank <= 100
