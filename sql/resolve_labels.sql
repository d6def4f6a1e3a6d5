-- resolve_labels: the winning label of every prediction, as it was known at a time.
-- The highest confidence wins, then the earliest event, then the label's and the event's text.
-- Grain: one row per prediction_id, into the temporary table winning_labels.
-- Relations: labels.
-- Parameters: $as_of (time: labels received later are not seen), $min_confidence (labels below it are not used).
CREATE OR REPLACE TEMP TABLE winning_labels AS
WITH winners AS (
    SELECT
        prediction_id,
        -- One comparison for the whole rule: a struct is ordered by its fields in turn, so all of them must fall.
        min({
            'doubt': -confidence, 'event_time': event_time, 'label': label, 'event': event, 'received_at': received_at
        }) AS best
    FROM labels
    WHERE received_at <= $as_of AND confidence >= $min_confidence AND label IS NOT NULL
    GROUP BY prediction_id
)

SELECT
    prediction_id,
    best.label AS label,
    -best.doubt AS confidence,
    best.event AS event,
    best.received_at AS received_at
FROM winners;
