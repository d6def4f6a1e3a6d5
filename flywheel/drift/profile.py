"""A batch as counts on its baseline's bins; a window is a sum of profiles and equals a scan of all its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from flywheel.drift.baseline import Baseline
from flywheel.drift.counting import Counts
from flywheel.errors import FlywheelError

PROFILE_SCHEMA = pl.Schema({"slice": pl.String, "feature": pl.String, "bin": pl.Int32, "count": pl.Int64})
_PART = ["slice", "feature"]
# Far more than the baselines of any version have of a feature.
_MOST_BINS = 1 << 16


def profile(rows: pl.DataFrame, baseline: Baseline) -> pl.DataFrame:
    """Count the rows into the baseline's buckets: one line a feature and bucket, empty buckets included.

    ``bin`` is the position in the feature's ``counts`` in the baseline. The counts of each feature add up to the
    number of rows: where the rows lack a column altogether, all of them are counted as missing. Where the baseline has
    slices, their lines come after those of the whole, whose ``slice`` is null; empty ones are left out.
    """
    measured = baseline.measured
    if not baseline.sliced:
        return _whole(baseline, [baseline.features[each.name].count(each.values(rows)) for each in measured])
    buckets = {each.name: baseline.features[each.name].buckets(each.values(rows)) for each in measured}
    counts = [np.bincount(buckets[each.name], minlength=baseline.features[each.name].table.size) for each in measured]
    lines = [lines for each in baseline.sliced for lines in each.lines(rows, buckets)]
    return pl.concat([_whole(baseline, counts), *lines])


def _whole(baseline: Baseline, counts: Sequence[Counts]) -> pl.DataFrame:
    sizes = np.array([found.size for found in counts], dtype=np.int64)
    feature = np.repeat(np.arange(sizes.size), sizes)
    return pl.DataFrame(
        {
            "slice": pl.Series([None], dtype=pl.String).new_from_index(0, feature.size),
            "feature": pl.Series(list(baseline.features), dtype=pl.String).gather(feature),
            "bin": np.arange(feature.size) - (np.cumsum(sizes) - sizes)[feature],
            "count": np.concatenate([np.zeros(0, dtype=np.int64), *counts]),
        },
        schema=PROFILE_SCHEMA,
    )


def merge(profiles: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Sum profiles of one baseline; a frame may hold any number of them, and other columns beside.

    Raises
    ------
    FlywheelError
        A bin's number is one that no baseline has.
    """
    columns = [found.select(pl.col(name).cast(dtype) for name, dtype in PROFILE_SCHEMA.items()) for found in profiles]
    lines = pl.concat(columns or [PROFILE_SCHEMA.to_frame()])
    bins, counts = lines["bin"].to_numpy(), lines["count"].to_numpy()
    width = 1 + int(bins.max(initial=0))
    if width > _MOST_BINS or bins.min(initial=0) < 0:
        raise FlywheelError(
            f"profiles count bins {bins.min()} to {bins.max()}, of which no baseline has so many",
            state="nothing was measured",
            next_step="profile the batches anew: `flywheel run reprofile`",
        )
    # The lines of a feature lie together: texts are compared once for each of its profiles, not once a line.
    starts = starts_of(lines, _PART)
    stretches = lines.select(_PART)[starts]
    parts = stretches.unique().sort(_PART).with_row_index("part")
    part = stretches.join(parts, on=_PART, how="left", nulls_equal=True, maintain_order="left")["part"]
    places = np.repeat(part.cast(pl.Int64).to_numpy(), np.diff(starts, append=lines.height)) * width + bins
    sums, has_line = np.zeros(parts.height * width, dtype=np.int64), np.zeros(parts.height * width, dtype=np.bool_)
    np.add.at(sums, places, counts)
    has_line[places] = True
    found = np.flatnonzero(has_line)
    # In the order of parts, then bins.
    return parts[found // width].select(
        "slice", "feature", bin=pl.Series(found % width, dtype=pl.Int32), count=pl.Series(sums[found])
    )


def starts_of(lines: pl.DataFrame, key: Sequence[str]) -> Counts:
    """Where each stretch of neighbouring lines with the same key begins.

    >>> starts_of(pl.DataFrame({"feature": ["x", "x", None, "y"]}), ["feature"]).tolist()
    [0, 2, 3]
    """
    # A column of nulls begins nothing.
    told = [name for name in key if lines[name].null_count() < lines.height]
    is_other = [pl.col(name).ne_missing(pl.col(name).shift()) for name in told]
    is_start = pl.any_horizontal(pl.int_range(pl.len()) == 0, *is_other)
    return lines.select(is_start).to_series().arg_true().cast(pl.Int64).to_numpy()


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
