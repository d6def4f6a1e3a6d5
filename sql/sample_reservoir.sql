-- sample_reservoir: a fixed number of labelled predictions, those with the smallest sample_key (a uniform sample without
-- replacement), each weighing labelled / kept.
-- Grain: one row per labelled prediction that is kept, by event_time and prediction_id.
-- Relations: candidates (predictions with the score beside the exported columns), winning_labels.
-- Parameters: $as_of (time: predictions made later are not seen), $size (rows kept).
WITH labelled AS (
    SELECT DISTINCT c.prediction_id, c.sample_key
    FROM candidates AS c
    INNER JOIN winning_labels AS w ON w.prediction_id = c.prediction_id
    WHERE c.predicted_at <= $as_of
),

kept AS (
    SELECT prediction_id FROM labelled ORDER BY sample_key, prediction_id LIMIT $size
)

SELECT
    c.* EXCLUDE ("sampling score"),
    w.label,
    w.confidence,
    w.event,
    (SELECT count(*) FROM labelled) / (SELECT count(*) FROM kept) AS weight
FROM candidates AS c
INNER JOIN kept AS k ON k.prediction_id = c.prediction_id
INNER JOIN winning_labels AS w ON w.prediction_id = c.prediction_id
WHERE c.predicted_at <= $as_of
ORDER BY c.event_time, c.prediction_id, c.predicted_at, c.batch_id;
