"""Values out of JSON text, against Python's json."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flywheel.records.json_values import extract_json

KEYS = st.text(min_size=1, max_size=4)
LEAVES = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text()
)


@settings(deadline=None, max_examples=100)
@given(outer=KEYS, inner=KEYS, leaf=LEAVES, place=st.integers(-3, 2))
def test_any_key_and_any_leaf(outer: str, inner: str, leaf: Any, place: int) -> None:
    assume("*" not in (outer, inner) or place >= 0)  # which a JsonPath refuses
    line = json.dumps({outer: {inner: [leaf, leaf, leaf]}})
    (found,) = extract_json(pl.Series([line, "{"]), [(outer, inner, place)]).columns
    text = found[0]
    if isinstance(leaf, str):
        assert text == leaf
    elif isinstance(leaf, bool):
        assert text == str(leaf).lower()
    else:
        assert float(text) == float(leaf)
    assert found[1] is None


def test_order_and_alignment_hold_for_many_rows() -> None:
    numbers = pl.int_range(300_000, eager=True)
    lines = '{"a":' + numbers.cast(pl.String) + ',"b":"x"}'
    lines = (
        pl.DataFrame({"n": numbers, "line": lines})
        .select(pl.when(pl.col("n") % 1000 == 7).then(pl.lit("broken")).otherwise("line"))
        .to_series()
    )
    first, second = extract_json(lines, [("a",), ("b",)]).columns
    good = lines != "broken"
    assert first.filter(good).cast(pl.Int64).equals(numbers.filter(good).cast(pl.Int64))
    assert first.null_count() == second.null_count() == 300


def test_depth_is_no_danger() -> None:
    deep = '{"a":' * 20_000 + "1" + "}" * 20_000
    assert extract_json(pl.Series([deep, '{"a":1}']), [("a",)]).columns[0][1] == "1"
