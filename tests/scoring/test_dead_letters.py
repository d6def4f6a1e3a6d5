"""What a dead letter holds for the model is, read back, what it was."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.manifest.load import load
from flywheel.manifest.schema import record_schema
from flywheel.scoring.dead_letters import features_text, read_features

PIPELINE = load([Path(__file__).parents[2] / "deployments" / "pipelines"]).pipeline("flight-delays")
SCHEMA = record_schema(PIPELINE)
VALUES = {
    pl.Float64: st.floats(allow_nan=False, allow_infinity=False),
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.String: st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    pl.Boolean: st.booleans(),
}
ROWS = st.lists(st.tuples(*(st.none() | VALUES[dtype.base_type()] for dtype in SCHEMA.values())), max_size=5)


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_features_come_back_to_the_last_bit(rows: list[tuple[object, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    assert read_features(features_text(frame, PIPELINE), PIPELINE).equals(frame)


def test_a_feature_that_a_text_lacks_is_null() -> None:
    found = read_features(pl.Series(["{}"]), PIPELINE)
    assert found.row(0) == (None,) * len(SCHEMA)
