-- find_batches_of_keys: the batches of predictions that have a key of some event; no id is read.
-- Grain: one row per batch, ascending.
-- Relations: events (sample_key), predictions (the log's files that may hold some of them).
-- Parameters: none.
SELECT DISTINCT batch_id
FROM predictions
SEMI JOIN events USING (sample_key)
ORDER BY batch_id;
