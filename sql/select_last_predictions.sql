-- select_last_predictions: the newest prediction of the model itself, for `fallback: use_last_known`.
-- Grain: one row per entity (one row in all where the pipeline names no entity: every entity is then the same).
-- Relations: predictions (the log's newest partitions, with a column `entity`, and the output field as `prediction`).
-- Parameters: $batch (number of this batch).
SELECT entity, arg_max(prediction, struct_pack(event_time, prediction_id)) AS prediction
FROM predictions
WHERE status = 'ok' AND batch_id < $batch
GROUP BY entity;
