"""Cuts the reference of a baseline into slices and seasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import polars as pl

from flywheel.drift.counting import Buckets
from flywheel.drift.measured import Measured
from flywheel.drift.seasons import Seasons
from flywheel.drift.sliced import SlicedReference, count_slices
from flywheel.drift.slices import CategorySlices, NumberSlices, fit_slices
from flywheel.manifest.drift import Seasonal


class Bucketed(Protocol):
    """A feature's baseline, as far as slices go by it: how many buckets there are, and which one a value is in."""

    @property
    def counts(self) -> Sequence[int]: ...

    def buckets(self, values: pl.Series) -> Buckets: ...


def slice_reference(
    features: Mapping[Measured, Bucketed],
    rows: pl.DataFrame,
    scored: pl.DataFrame,
    slices: Sequence[Measured],
    seasonal: Seasonal | None,
) -> list[SlicedReference]:
    """Count a reference by every feature of ``slices`` and by season; see ``fit_baseline`` for the frames."""
    return [
        SlicedReference(
            by=by,
            counts=_counts(by, features, rows, is_prediction=False) | _counts(by, features, scored, is_prediction=True),
        )
        for by in _cuts(rows, slices, seasonal)
    ]


def _cuts(
    rows: pl.DataFrame, slices: Sequence[Measured], seasonal: Seasonal | None
) -> Iterator[CategorySlices | NumberSlices | Seasons]:
    for feature in slices:
        found = fit_slices(feature, rows)
        if found is not None:
            yield found
    if seasonal is not None:
        yield Seasons(of=seasonal)


def _counts(
    by: CategorySlices | NumberSlices | Seasons,
    features: Mapping[Measured, Bucketed],
    rows: pl.DataFrame,
    *,
    is_prediction: bool,
) -> dict[str, list[list[int]]]:
    """Of the features whose reference these rows are."""
    buckets = {
        feature.name: (baseline.buckets(feature.values(rows)), len(baseline.counts))
        for feature, baseline in features.items()
        if feature.is_prediction == is_prediction
    }
    return count_slices(by, rows, buckets)
