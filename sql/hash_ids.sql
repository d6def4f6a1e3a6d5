-- hash_ids: the first 64 bits of the SHA-256 of each id's UTF-8 bytes, as 16 hexadecimal digits.
-- Grain: one row per row of the input, in its order.
-- Relations: input (id VARCHAR).
-- Parameters: none.
SELECT substr(sha256(id), 1, 16) AS digits FROM input;
