"""The sampling key is the same in every engine, for ever."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flywheel.records.sample_key import sample_keys

GOLDEN = {
    "": -2039914840885289964,
    "a": -3848465438864589366,
    "trace-1": 1728941559762763953,
    "é": 5375421630974772051,
}


def test_golden_values() -> None:
    assert sample_keys(pl.Series(list(GOLDEN))).to_list() == list(GOLDEN.values())


@given(st.lists(st.text() | st.none(), max_size=20))
def test_equals_hashlib(ids: list[str | None]) -> None:
    expected = [
        None if text is None else int.from_bytes(sha256(text.encode()).digest()[:8], "big", signed=True) for text in ids
    ]
    assert sample_keys(pl.Series(ids, dtype=pl.String)).to_list() == expected


def test_sequential_ids_are_spread_evenly() -> None:
    """A share of the key's range holds that share of the ids, also of ids that differ in their last character only."""
    keys = sample_keys(pl.Series([f"trace-{i}" for i in range(100_000)]))
    uniform = keys.reinterpret(signed=False).to_numpy().astype(np.float64) / 2.0**64
    counts = np.histogram(uniform, bins=20, range=(0, 1))[0]
    assert np.abs(counts - 5_000).max() < 5 * np.sqrt(5_000)
