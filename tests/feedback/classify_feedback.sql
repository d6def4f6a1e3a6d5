-- classify_feedback: what each pending feedback event comes to.
-- Grain: one row per distinct event (prediction_id, label, event, event_time), however often it was delivered.
-- Relations: events (the events of this join and earlier ones that still wait), predictions (the log's partitions that
--   they can touch), known (the label rows of those partitions).
-- Parameters: $batch (number of this join), $last_logged (newest batch of predictions that it sees), $max_delay
--   (interval), $given_up_before (time: an event received before it that has no prediction is an orphan).
WITH distinct_events AS (
    SELECT
        prediction_id,
        label,
        event,
        event_time,
        max(confidence) AS confidence,
        min(received_at) AS received_at,
        count(*) FILTER (WHERE batch_id = $batch) AS new_copies,
        count(*) FILTER (WHERE batch_id < $batch) AS old_copies
    FROM events
    GROUP BY ALL
),

logged AS (
    SELECT prediction_id, event_time FROM predictions WHERE batch_id <= $last_logged
),

labelled AS (
    SELECT DISTINCT prediction_id, label, event, event_time FROM known WHERE batch_id < $batch
)

SELECT
    e.prediction_id,
    e.label,
    e.confidence,
    e.event,
    e.event_time,
    e.received_at,
    e.new_copies,
    e.old_copies,
    p.event_time::DATE AS date,
    CASE
        WHEN e.label IS NULL THEN 'unlabelled'
        WHEN p.prediction_id IS NULL AND e.received_at < $given_up_before THEN 'orphan'
        WHEN p.prediction_id IS NULL THEN 'waiting'
        WHEN e.event_time > p.event_time + $max_delay THEN 'late'
        WHEN k.prediction_id IS NOT NULL THEN 'known'
        ELSE 'labelled'
    END AS outcome
FROM distinct_events AS e
LEFT JOIN logged AS p ON p.prediction_id = e.prediction_id
LEFT JOIN labelled AS k
    ON k.prediction_id = e.prediction_id
    AND k.label = e.label
    AND k.event = e.event
    AND k.event_time = e.event_time
ORDER BY e.prediction_id, e.event_time, e.event, e.label;
