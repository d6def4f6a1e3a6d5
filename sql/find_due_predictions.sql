-- find_due_predictions: the predictions whose delay is over, and that no join has considered so far.
-- Grain: one row per prediction, by its event_time and id.
-- Relations: predictions (the log's partitions that may hold such rows).
-- Parameters: $happened_by (time: the delay of what happened by then is over), $last_batch (newest batch that this join
--   sees), $done_happened_by, $done_last_batch (the same of the joins before it; null and 0 for none).
SELECT prediction_id, event_time, sample_key
FROM predictions
WHERE event_time <= $happened_by
    AND batch_id <= $last_batch
    AND (event_time > $done_happened_by OR $done_happened_by IS NULL OR batch_id > $done_last_batch)
ORDER BY event_time, prediction_id, batch_id;
