"""A batch as counts on its baseline's bins; a window is a sum of profiles and equals a scan of all its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from flywheel.drift.baseline import Baseline
from flywheel.drift.counting import Counts
from flywheel.errors import FlywheelError

PROFILE_SCHEMA = pl.Schema({"slice": pl.String, "feature": pl.String, "bin": pl.Int32, "count": pl.Int64})


def profile(rows: pl.DataFrame, baseline: Baseline) -> pl.DataFrame:
    """Count the rows into the baseline's buckets: one line a feature and bucket, empty buckets included.

    ``bin`` is the position in the feature's ``counts`` in the baseline. The counts of each feature add up to the
    number of rows: where the rows lack a column altogether, all of them are counted as missing. Where the baseline has
    slices, their lines come after those of the whole, whose ``slice`` is null; empty ones are left out.
    """
    whole = _whole(rows, baseline)
    if not baseline.sliced:
        return whole
    buckets = {
        feature.name: baseline.features[feature.name].buckets(feature.values(rows)) for feature in baseline.measured
    }
    return pl.concat([whole, *(lines for each in baseline.sliced for lines in each.lines(rows, buckets))])


def _whole(rows: pl.DataFrame, baseline: Baseline) -> pl.DataFrame:
    counts = [baseline.features[feature.name].count(feature.values(rows)) for feature in baseline.measured]
    sizes = [len(found) for found in counts]
    return pl.DataFrame(
        {
            "slice": None,
            "feature": np.repeat([feature.name for feature in baseline.measured], sizes).tolist(),
            "bin": np.concatenate([np.arange(size) for size in sizes] or [np.array([], dtype=np.int64)]),
            "count": np.concatenate(counts or [np.array([], dtype=np.int64)]),
        },
        schema=PROFILE_SCHEMA,
    )


def merge(profiles: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Sum profiles of one baseline; a frame may hold any number of them, and other columns beside."""
    columns = [found.select(pl.col(name).cast(dtype) for name, dtype in PROFILE_SCHEMA.items()) for found in profiles]
    together = pl.concat([PROFILE_SCHEMA.to_frame(), *columns])
    return together.group_by("slice", "feature", "bin").agg(pl.col("count").sum()).sort("slice", "feature", "bin")


def counts_by_feature(counts: pl.DataFrame, baseline: Baseline) -> Mapping[str, Counts]:
    """A merged profile's whole as one array a feature, in the order of the baseline's buckets.

    Raises
    ------
    FlywheelError
        The profile has features or bins that the baseline does not have: it was made on another baseline.
    """
    arrays = {name: np.zeros(len(feature.counts), dtype=np.int64) for name, feature in baseline.features.items()}
    whole = counts.filter(pl.col("slice").is_null())
    every_bin, every_count = whole["bin"].to_numpy(), whole["count"].to_numpy()
    runs = whole["feature"].rle().struct.unnest()
    ends = runs["len"].cum_sum()
    for name, size, end in zip(runs["value"], runs["len"], ends, strict=True):
        found, rows = arrays.get(name), slice(end - size, end)
        bins = every_bin[rows]
        if found is None or (bins.size and (bins.min() < 0 or bins.max() >= found.size)):
            raise FlywheelError(
                f"the profile of {name!r} was not made on baseline {baseline.id!r}",
                state="nothing was measured",
                next_step="check only batches that were profiled on this baseline",
            )
        np.add.at(found, bins, every_count[rows])
    return arrays
