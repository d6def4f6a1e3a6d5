-- find_logged_ids: which of a batch's ids an earlier batch has logged already.
-- Grain: one row per id.
-- Relations: ids (prediction_id), predictions (the log's partitions of the batch's dates).
-- Parameters: $batch (number of this batch).
SELECT prediction_id
FROM ids
SEMI JOIN (SELECT prediction_id FROM predictions WHERE batch_id < $batch) AS logged USING (prediction_id);
