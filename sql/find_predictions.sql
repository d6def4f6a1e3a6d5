-- find_predictions: the predictions that events are about.
-- Grain: one row per event and prediction of its id, in no order.
-- Relations: events ("row", sample_key, prediction_id), predictions (the log's files that may hold some of them).
-- Parameters: $last_logged (newest batch of predictions that the join sees).
-- Keys are joined, and ids compared where keys are equal. As a plain equality that would become part of the join, and
--   the id of every prediction would be hashed, which costs more than all else.
SELECT e."row", p.event_time, p.batch_id
FROM predictions AS p
INNER JOIN events AS e ON e.sample_key = p.sample_key
WHERE p.batch_id <= $last_logged
    AND CASE WHEN p.prediction_id = e.prediction_id THEN true ELSE false END;
