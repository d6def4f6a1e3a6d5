"""Turn logged features into the matrix a model takes: numbers as they are, categories as codes or 0/1 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from flywheel.errors import ModelMismatchError, did_you_mean

if TYPE_CHECKING:
    from flywheel.manifest.features import Feature


class Input(BaseModel):
    """One feature as the model is given it.

    Attributes
    ----------
    kind
        ``number``: the value itself (a boolean is 0 or 1); ``codes``: the category's place in ``categories``;
        ``one_hot``: a 0/1 column per category.
    """

    model_config = ConfigDict(frozen=True)

    feature: str
    kind: Literal["number", "codes", "one_hot"]
    categories: list[str] = []

    @property
    def columns(self) -> list[str]:
        """Names of the matrix columns this feature takes."""
        if self.kind == "one_hot":
            return [f"{self.feature}={category}" for category in self.categories]
        return [self.feature]

    def expressions(self) -> list[pl.Expr]:
        """One Float64 expression per matrix column; a missing or unknown value is NaN, or all zeros when one-hot."""
        column = pl.col(self.feature)
        if self.kind == "one_hot":
            return [
                (column == category).fill_null(False).cast(pl.Float64).alias(name)
                for category, name in zip(self.categories, self.columns, strict=True)
            ]
        if self.kind == "codes":
            codes = pl.Series(range(len(self.categories)), dtype=pl.Float64)
            known = pl.Series(self.categories, dtype=pl.String)
            column = column.replace_strict(known, codes, default=None, return_dtype=pl.Float64)
        return [column.cast(pl.Float64).fill_null(np.nan).alias(self.feature)]


class Encoding(BaseModel):
    """How the features of a model version become its input matrix; stored in the model's card.

    >>> encoding = Encoding(inputs=[Input(feature="wind", kind="number"),
    ...                             Input(feature="origin", kind="codes", categories=["EWR", "JFK"])])
    >>> encoding.width, encoding.columns
    (2, ['wind', 'origin'])
    >>> encode(pl.DataFrame({"wind": [3.5, None], "origin": ["JFK", "LGA"]}), encoding)
    array([[3.5, 1. ],
           [nan, nan]])
    """

    model_config = ConfigDict(frozen=True)

    inputs: list[Input]

    @property
    def columns(self) -> list[str]:
        """Names of the matrix columns, in order."""
        return [column for item in self.inputs for column in item.columns]

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return len(self.columns)

    @property
    def features(self) -> list[str]:
        """Names of the features, in the model's order."""
        return [item.feature for item in self.inputs]


def learn_encoding(features: Sequence[Feature], rows: pl.DataFrame) -> Encoding:
    """Fix the encoding of ``features`` from training ``rows`` (logged features, after their transforms).

    A category's codes follow the manifest's ``categories`` where it names them, else the sorted values seen.
    """
    _require(rows, [feature.name for feature in features])
    return Encoding(inputs=[_learn_input(feature, rows) for feature in features])


def _learn_input(feature: Feature, rows: pl.DataFrame) -> Input:
    if feature.type != "category":
        return Input(feature=feature.name, kind="number")
    if feature.transform is not None and feature.transform.one_hot is not None:
        return Input(feature=feature.name, kind="one_hot", categories=feature.transform.one_hot.categories)
    if feature.categories is not None:
        return Input(feature=feature.name, kind="codes", categories=feature.categories)
    seen = rows[feature.name].cast(pl.String).drop_nulls().unique().sort().to_list()
    return Input(feature=feature.name, kind="codes", categories=seen)


def encode(rows: pl.DataFrame, encoding: Encoding) -> npt.NDArray[np.float64]:
    """Return the matrix ``[rows, encoding.width]``, float64 and C-contiguous; missing and unknown values are NaN.

    Raises
    ------
    ModelMismatchError
        ``rows`` lacks a feature of the encoding.
    """
    _require(rows, encoding.features)
    columns = rows.lazy().select(expression for item in encoding.inputs for expression in item.expressions()).collect()
    matrix = np.empty((rows.height, encoding.width), dtype=np.float64)
    for index, column in enumerate(columns.iter_columns()):
        matrix[:, index] = column.to_numpy()
    return matrix


def _require(rows: pl.DataFrame, features: Sequence[str]) -> None:
    missing = [name for name in features if name not in rows.columns]
    if missing:
        named = ", ".join(f"{name!r}{did_you_mean(name, rows.columns)}" for name in missing)
        raise ModelMismatchError(
            f"the model needs features that the rows do not have: {named}",
            next_step="compare the manifest's features with `flywheel model show`",
        )
