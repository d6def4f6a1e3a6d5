"""The manifest's transforms, on a whole column; null stays null."""

from __future__ import annotations

import polars as pl

from flywheel.manifest.features import Bucketize, Clip, Log1p, Normalize, OneHot, Standardize

Chosen = Normalize | Standardize | Log1p | Clip | Bucketize | OneHot


def apply_transform(values: pl.Series, transform: Chosen) -> pl.Series:
    """Return Float64, or Int64 from bucketize; a one_hot category stays as it is until the model's matrix is made.

    >>> apply_transform(pl.Series([0, 50, None]), Normalize(min=0, max=100)).to_list()
    [0.0, 0.5, None]
    >>> apply_transform(pl.Series([-1.0, 0.0, 7.5]), Bucketize(boundaries=[0, 5])).to_list()
    [0, 1, 2]
    """
    if isinstance(transform, OneHot):
        return values
    x = pl.col("x").cast(pl.Float64)
    return values.to_frame("x").select(_expression(x, transform).alias(values.name)).to_series()


def _expression(x: pl.Expr, transform: Normalize | Standardize | Log1p | Clip | Bucketize) -> pl.Expr:
    match transform:
        case Normalize():
            return (x - transform.min) / (transform.max - transform.min)
        case Standardize():
            return (x - transform.mean) / transform.std
        case Log1p():
            return x.log1p()
        case Clip():
            return x.clip(transform.min, transform.max)
        case Bucketize():
            return pl.sum_horizontal([(x >= b).cast(pl.Int64) for b in transform.boundaries], ignore_nulls=False)
