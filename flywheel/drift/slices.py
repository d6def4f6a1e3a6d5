"""Ways to cut rows into slices: by the values of a category, by the quartiles of a number."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from flywheel.drift.bins import in_few_digits
from flywheel.drift.counting import Buckets
from flywheel.drift.measured import Measured

MOST_VALUES = 20
# A slice is named in reasons, events and tables: what is longer, or does not print, is no slice.
LONGEST_VALUE = 60
_DIGITS, _ALL_DIGITS = 6, 15
_NONE = -1


class _FeatureSlices(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str

    def asks(self, feature: str) -> bool:
        """Whether a feature is compared within the slices: not the one that they are cut by."""
        return feature != self.feature


class CategorySlices(_FeatureSlices):
    """The rows of each of some values of a category."""

    kind: Literal["category"] = "category"
    values: list[str]

    @property
    def names(self) -> list[str]:
        """What the slices are called, in reports and in the profiles table."""
        return [f"{self.feature} = {value}" for value in self.values]

    def places(self, rows: pl.DataFrame) -> Buckets:
        """The slice of each row, as a position in ``names``; -1 for a row that is in none."""
        values = Measured(self.feature, "category").values(rows)
        positions = {value: place for place, value in enumerate(self.values)}
        return values.replace_strict(positions, default=_NONE, return_dtype=pl.Int64).to_numpy()


class NumberSlices(_FeatureSlices):
    """The rows of each range of a number: up to the first edge, above it up to the second, …, above the last."""

    kind: Literal["numeric"] = "numeric"
    edges: list[float]

    @property
    def names(self) -> list[str]:
        """What the slices are called, in reports and in the profiles table."""
        whole = all(edge.is_integer() for edge in self.edges)
        edges = in_few_digits(np.array(self.edges), _ALL_DIGITS if whole else _DIGITS)
        between = [f"{low} < {self.feature} ≤ {high}" for low, high in pairwise(edges)]
        return [f"{self.feature} ≤ {edges[0]}", *between, f"{self.feature} > {edges[-1]}"]

    def places(self, rows: pl.DataFrame) -> Buckets:
        """The slice of each row, as a position in ``names``; -1 for a row whose number is missing or infinite."""
        numbers = Measured(self.feature, "numeric").values(rows).to_numpy()
        return np.where(np.isfinite(numbers), np.searchsorted(self.edges, numbers, side="left"), _NONE)


def fit_slices(feature: Measured, rows: pl.DataFrame) -> CategorySlices | NumberSlices | None:
    """The slices of the reference by one feature; None where one would hold all of the rows, or none any.

    Of a category the 20 most frequent values (ties by name), of a number the ranges between its quartiles: values
    that occurred, fewer than three where one value is repeated so often.
    """
    values = feature.values(rows)
    return _fit_ranges(feature.name, values) if feature.kind == "numeric" else _fit_values(feature.name, values)


def _fit_values(name: str, values: pl.Series) -> CategorySlices | None:
    found = values.alias("value").drop_nulls().value_counts(name="rows")
    frequent = found.sort("rows", "value", descending=[True, False]).get_column("value").head(MOST_VALUES)
    named = [value for value in frequent.to_list() if value.isprintable() and 0 < len(value) <= LONGEST_VALUE]
    if not named or (found.height == 1 and not values.null_count()):
        return None
    return CategorySlices(feature=name, values=named)


def _fit_ranges(name: str, values: pl.Series) -> NumberSlices | None:
    finite = np.sort(values.filter(values.is_finite()).to_numpy())
    if not finite.size:
        return None
    quartiles = np.unique(finite[-(-np.arange(1, 4) * finite.size // 4) - 1])
    edges = quartiles[quartiles < finite[-1]].tolist()
    return NumberSlices(feature=name, edges=edges) if edges else None
