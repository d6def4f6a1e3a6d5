-- sample_labelled_rows: labelled predictions, each kept by its own sample_key, with the weight that undoes the sampling.
-- A row is kept when its key is at most the limit of its class: the keys are uniform, so the rate decides how many, and
-- the same rows are kept in every run, order and engine.
-- Grain: one row per labelled prediction that is kept, by event_time and prediction_id.
-- Relations: candidates (predictions with the score beside the exported columns), winning_labels.
-- Parameters: $as_of (time: predictions made later are not seen), $positive_label, $positive_rate, $negative_rate,
--   $positive_limit, $negative_limit (the greatest key kept), $hard_threshold (negatives scored above it are all kept).
WITH classed AS (
    SELECT
        c.*,
        w.label,
        w.confidence,
        w.event,
        CASE
            WHEN w.label = $positive_label THEN 'positive'
            WHEN c."sampling score" > $hard_threshold THEN 'hard'
            ELSE 'negative'
        END AS "sampling class"
    FROM candidates AS c
    INNER JOIN winning_labels AS w ON w.prediction_id = c.prediction_id
    WHERE c.predicted_at <= $as_of
)

SELECT
    * EXCLUDE ("sampling score", "sampling class"),
    CASE "sampling class" WHEN 'positive' THEN 1 / $positive_rate WHEN 'hard' THEN 1 ELSE 1 / $negative_rate END::DOUBLE
        AS weight
FROM classed
WHERE "sampling class" = 'hard'
    OR sample_key <= CASE "sampling class" WHEN 'positive' THEN $positive_limit ELSE $negative_limit END
ORDER BY event_time, prediction_id, predicted_at, batch_id;
