-- sampled_by_duckdb: the rows of an export as one statement, by the stored keys; `prediction_id` may be of any type.
-- Grain: one row per labelled prediction that is kept.
-- Relations: predictions, labels.
-- Parameters: $as_of, $positive_label, $positive_limit, $negative_limit (the greatest key kept of each class).
WITH winners AS (
    SELECT
        prediction_id,
        min({
            'doubt': -confidence, 'event_time': event_time, 'label': label, 'event': event, 'received_at': received_at
        }) AS best
    FROM labels
    WHERE received_at <= $as_of AND label IS NOT NULL
    GROUP BY prediction_id
)

SELECT p.prediction_id::VARCHAR AS prediction_id, w.best.label AS label
FROM predictions AS p
INNER JOIN winners AS w ON w.prediction_id = p.prediction_id
WHERE p.predicted_at <= $as_of
    AND p.sample_key <= CASE WHEN w.best.label = $positive_label THEN $positive_limit ELSE $negative_limit END
ORDER BY 1;
