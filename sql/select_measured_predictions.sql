-- select_measured_predictions: a model's own answers of a time range, with the winning label of those that have one.
-- Grain: one row per prediction that is logged; fallbacks are left out, since they are not the model's.
-- Relations: candidates (predictions, with the columns that are wanted), winning_labels.
-- Parameters: $model_id, $start, $end (time: events from $start on and before $end), $as_of (time: predictions made later
--   are not seen), $last_joined (newest batch of predictions that feedback has been joined to).
SELECT
    c.* EXCLUDE (model_id, status, predicted_at, batch_id),
    c.batch_id <= $last_joined AS is_joined,
    w.label,
    w.confidence,
    w.event,
    w.received_at
FROM candidates AS c
LEFT JOIN winning_labels AS w ON w.prediction_id = c.prediction_id
WHERE c.status = 'ok'
    AND c.model_id = $model_id
    AND c.event_time >= $start AND c.event_time < $end
    AND c.predicted_at <= $as_of;
