/*
view: clicks
reads: raw_clicks
meaning: >-
  Each click of a day once. Of rows with the same event_id on the same dt the one that arrived
  first stands: least received_at, then source, partition and offset.
*/
SELECT *
FROM raw_clicks
QUALIFY ROW_NUMBER() OVER (
    PARTITION BY dt, event_id
    ORDER BY received_at, source, "partition", "offset"
) = 1
