-- extract_json: what each text is as JSON, and its values at some paths, as text.
-- Grain: one row per row of the input, in its order; both columns are null where the text is not valid JSON, a value is
--   null where the path leads nowhere or to JSON's null.
-- Relations: input (line VARCHAR).
-- Parameters: $paths (list of JSON pointers or DuckDB JSON paths).
SELECT
    CASE WHEN json_valid(line) THEN json_type(line) END AS kind,
    CASE WHEN json_valid(line) THEN json_extract_string(line, $paths) END AS found
FROM input;
