"""The baseline: what each feature looked like when the model was trained, frozen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flywheel.drift.bins import Floats, fit_bins
from flywheel.drift.counting import Buckets, CategoryTable, Counts
from flywheel.drift.guide_table import GuideTable
from flywheel.drift.measured import Measured
from flywheel.drift.moments import Moments, moments_of
from flywheel.drift.sliced import SlicedReference
from flywheel.drift.slicing import slice_reference
from flywheel.errors import FlywheelError
from flywheel.manifest.drift import Seasonal

FREQUENT = 100
KNOWN = 10_000


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NumericBaseline(_Frozen):
    """``counts``: one a fine bin (see ``bins``), then the rows whose value is missing, NaN or infinite."""

    kind: Literal["numeric"] = "numeric"
    edges: list[float]
    coarse: list[int]
    counts: list[int]
    moments: Moments

    @cached_property
    def table(self) -> Counts:
        """``counts`` as an array."""
        return np.array(self.counts, dtype=np.int64)

    @cached_property
    def guide(self) -> GuideTable:
        """What finds the bucket of a number."""
        return GuideTable(self.edges)

    @cached_property
    def widths(self) -> Floats:
        """Of the bins between the edges."""
        with np.errstate(over="ignore"):
            return np.diff(self.edges)

    @cached_property
    def spread(self) -> float | None:
        """The standard deviation of the values clipped to the edges, each bin's at its middle; None without any."""
        edges, counts = np.array(self.edges), self.table[:-1]
        if edges.size < 2 or not counts.any():
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            places = np.concatenate((edges[:1], edges[:-1] / 2 + edges[1:] / 2, edges[-1:]))
            shares = counts / counts.sum()
            found = float(np.sqrt(np.sum(shares * (places - np.sum(shares * places)) ** 2)))
            largest = np.abs(edges).max()
            point = float(largest - np.nextafter(largest, 0))
        return found if np.isfinite(found) and found > max(point, sys.float_info.min) else None

    def count(self, values: pl.Series) -> Counts:
        """Count Float64 values into these buckets."""
        return self.guide.count(values)

    def buckets(self, values: pl.Series) -> Buckets:
        """The bucket of each of some Float64 values."""
        return self.guide.buckets(values)


class CategoryBaseline(_Frozen):
    """``counts``: one a category (most frequent first), then the rare ``others``, the unseen and the missing."""

    kind: Literal["category"] = "category"
    categories: list[str]
    others: list[str]
    counts: list[int]

    @cached_property
    def table(self) -> Counts:
        """``counts`` as an array."""
        return np.array(self.counts, dtype=np.int64)

    @cached_property
    def known(self) -> CategoryTable:
        """What finds the bucket of a category."""
        return CategoryTable(self.categories, self.others)

    def count(self, values: pl.Series) -> Counts:
        """Count String values into these buckets."""
        return self.known.count(values)

    def buckets(self, values: pl.Series) -> Buckets:
        """The bucket of each of some String values."""
        return self.known.buckets(values)


FeatureBaseline = Annotated[NumericBaseline | CategoryBaseline, Field(discriminator="kind")]


class Baseline(_Frozen):
    """The reference of a pipeline's drift checks.

    Attributes
    ----------
    id
        What profiles and checks refer to it by.
    rows
        Rows of the reference.
    created
        The ``as_of`` it was fitted at.
    sliced
        The reference cut into slices, once for each feature that the manifest slices by, or into its seasons.
    """

    id: str
    rows: int
    created: datetime | None = None
    features: dict[str, FeatureBaseline]
    sliced: list[SlicedReference] = Field(default=[], exclude_if=lambda sliced: not sliced)

    @property
    def measured(self) -> list[Measured]:
        return [Measured(name, feature.kind) for name, feature in self.features.items()]

    def slices(self, feature: str) -> SlicedReference | None:
        """The slices by a feature; None where the reference was not cut by it."""
        return next((each for each in self.sliced if each.by.kind != "season" and each.by.feature == feature), None)

    def seasons(self, of: Seasonal) -> SlicedReference | None:
        """The seasons of a kind; None where the reference was not cut into these."""
        return next((each for each in self.sliced if each.by.kind == "season" and each.by.of == of), None)

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> Baseline:
        """Read what ``to_json`` wrote; anything else is a FlywheelError."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise FlywheelError(
                f"not a drift baseline: {where}: {first['msg']}",
                state="nothing was measured",
                next_step="let drift.baseline_uri name a baseline that Flywheel wrote, or leave it out",
            ) from error


def fit_baseline(
    rows: pl.DataFrame,
    measured: Sequence[Measured],
    baseline_id: str,
    *,
    scored: pl.DataFrame | None = None,
    as_of: datetime | None = None,
    slices: Sequence[Measured] = (),
    seasonal: Seasonal | None = None,
) -> Baseline:
    """Freeze the distribution of each measured column of the reference.

    Parameters
    ----------
    rows
        The reference: every row of a period, not a sample that favours some of them.
    scored
        Where the prediction's own fields come from: what the model that is watched says without drift.
        Default: ``rows``.
    slices
        The features to cut the reference by; both frames have their columns.
    seasonal
        The seasons to cut it into, by ``event_time``.

    Raises
    ------
    FlywheelError
        A measured column is not in the rows.
    """
    features: dict[str, NumericBaseline | CategoryBaseline] = {}
    for feature in measured:
        reference = scored if scored is not None and feature.is_prediction else rows
        if not feature.is_in(reference.schema):
            raise FlywheelError(
                f"no {feature.name!r} in the reference of baseline {baseline_id!r}; "
                f"there is: {', '.join(reference.columns)}",
                state="no baseline was made",
            )
        values = feature.values(reference)
        features[feature.name] = _fit_numeric(values) if feature.kind == "numeric" else _fit_category(values)
    fitted = {feature: features[feature.name] for feature in measured}
    sliced = slice_reference(fitted, rows, rows if scored is None else scored, slices, seasonal)
    return Baseline(id=baseline_id, rows=rows.height, created=as_of, features=features, sliced=sliced)


def _fit_numeric(values: pl.Series) -> NumericBaseline:
    finite = values.filter(values.is_finite()).to_numpy()
    bins = fit_bins(finite)
    counts = GuideTable(bins.edges).count(values).tolist()
    return NumericBaseline(edges=bins.edges, coarse=bins.coarse, counts=counts, moments=moments_of(finite))


def _fit_category(values: pl.Series) -> CategoryBaseline:
    found = values.alias("value").drop_nulls().value_counts(name="rows")
    known = found.sort("rows", "value", descending=[True, False]).get_column("value").head(KNOWN).to_list()
    categories, others = known[:FREQUENT], known[FREQUENT:]
    counts = CategoryTable(categories, others).count(values).tolist()
    return CategoryBaseline(categories=categories, others=others, counts=counts)
