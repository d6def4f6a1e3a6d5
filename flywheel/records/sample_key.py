"""The key that sampling is decided by: a hash of the prediction's id that every engine and version computes alike.

Definition: the first 8 bytes of the SHA-256 (FIPS 180-4) of the id's UTF-8 bytes, big-endian, as a signed 64-bit
integer. In Python: ``int.from_bytes(sha256(id.encode()).digest()[:8], "big", signed=True)``. Its 64 bits read as an
unsigned number and divided by 2^64 are uniform in [0, 1).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from flywheel.records.rowwise import run_rowwise

_NO_DIGITS = "0" * 16


def sample_keys(ids: pl.Series) -> pl.Series:
    """Return the key of each id as Int64; null for a null id.

    >>> sample_keys(pl.Series(["trace-1", None])).to_list()
    [1728941559762763953, None]
    """
    digits = run_rowwise("hash_ids", pl.DataFrame({"id": ids.cast(pl.String)}))["digits"]
    known = digits.fill_null(_NO_DIGITS) if digits.has_nulls() else digits
    # All of them at once: by Polars each text is decoded by itself, which takes four times as long.
    bits = np.frombuffer(bytes.fromhex("".join(known.str.join(""))), dtype=">i8")
    keys = pl.Series("sample_key", bits.astype(np.int64))
    return keys.set(digits.is_null(), None) if digits.has_nulls() else keys
