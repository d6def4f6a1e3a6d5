"""Logged features as a model's matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.errors import ModelMismatchError
from flywheel.manifest.features import Feature
from flywheel.records.encode import Encoding, Input, encode, learn_encoding

FEATURES = [
    Feature(name="wind", source_field="$.wind"),
    Feature(name="seats", source_field="$.seats", type="integer"),
    Feature(name="late", source_field="$.late", type="boolean"),
    Feature(name="origin", source_field="$.origin", type="category"),
    Feature(name="grade", source_field="$.grade", type="category", categories=["low", "high"]),
    Feature(name="kind", source_field="$.kind", transform={"one_hot": {"categories": ["x", "y"]}}),
]
ROWS = pl.DataFrame(
    {
        "wind": [1.5, None],
        "seats": [100, None],
        "late": [True, None],
        "origin": ["JFK", "EWR"],
        "grade": ["high", "low"],
        "kind": ["y", "z"],
    }
)


def test_every_kind_of_feature_gets_its_columns() -> None:
    encoding = learn_encoding(FEATURES, ROWS)
    assert encoding.columns == ["wind", "seats", "late", "origin", "grade", "kind=x", "kind=y"]
    assert encoding.width == 7
    matrix = encode(ROWS, encoding)
    np.testing.assert_array_equal(matrix, [[1.5, 100, 1, 1, 1, 0, 1], [np.nan, np.nan, np.nan, 0, 0, 0, 0]])
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous


def test_a_category_that_training_did_not_see_is_nan() -> None:
    encoding = learn_encoding(FEATURES[3:4], ROWS)
    assert np.isnan(encode(pl.DataFrame({"origin": ["LGA", None]}), encoding)).all()


def test_codes_without_any_category_seen_are_nan() -> None:
    rows = pl.DataFrame({"origin": [None, None]}, schema={"origin": pl.String})
    encoding = learn_encoding(FEATURES[3:4], rows)
    assert encoding.inputs == [Input(feature="origin", kind="codes", categories=[])]
    assert np.isnan(encode(rows, encoding)).all()


def test_no_rows_give_a_matrix_of_the_right_width() -> None:
    assert encode(ROWS.clear(), learn_encoding(FEATURES, ROWS)).shape == (0, 7)


def test_a_missing_feature_is_named() -> None:
    with pytest.raises(ModelMismatchError, match=r"'wind' \(did you mean 'winds'\?\)"):
        encode(ROWS.rename({"wind": "winds"}), learn_encoding(FEATURES, ROWS))


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1), st.data())
def test_the_encoding_survives_storage_and_the_order_of_rows(values: list[str | None], data: Any) -> None:
    rows = pl.DataFrame({"origin": values}, schema={"origin": pl.String})
    encoding = learn_encoding(FEATURES[3:4], rows)
    stored = Encoding.model_validate_json(encoding.model_dump_json())
    order = data.draw(st.permutations(range(len(values))))
    assert learn_encoding(FEATURES[3:4], rows[list(order)]) == stored == encoding
    np.testing.assert_array_equal(encode(rows[list(order)], stored), encode(rows, encoding)[list(order)])


def test_logged_rows_can_be_encoded_as_they_are(prepare_values: Callable[..., Any]) -> None:
    rows = prepare_values(["1", "2"], transform={"bucketize": {"boundaries": [2]}}).rows
    encoding = Encoding(inputs=[Input(feature="x", kind="number")])
    np.testing.assert_array_equal(encode(rows, encoding), [[0.0], [1.0]])
