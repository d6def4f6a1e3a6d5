"""The reference cut into slices: the counts of every feature in each, on the buckets of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from flywheel.drift.counting import Buckets, Counts, count_pairs
from flywheel.drift.seasons import Seasons
from flywheel.drift.slices import CategorySlices, NumberSlices

Slicing = Annotated[CategorySlices | NumberSlices | Seasons, Field(discriminator="kind")]


class SlicedReference(BaseModel):
    """How rows are cut, and the reference's counts by slice.

    ``counts`` has of each feature that is compared within slices a list a slice, in the order of ``by.names``: its
    counts in the feature's buckets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Slicing
    counts: dict[str, list[list[int]]]

    @cached_property
    def tables(self) -> Mapping[str, Counts]:
        """``counts`` as arrays (slice, bucket)."""
        return {feature: np.array(counts, dtype=np.int64) for feature, counts in self.counts.items()}

    def lines(self, rows: pl.DataFrame, buckets: Mapping[str, Buckets]) -> Iterator[pl.DataFrame]:
        """Count rows into the slices: a line a slice, feature and bucket that has any.

        ``buckets`` has the bucket of each row, by feature.
        """
        names = np.array(self.by.names, dtype=object)
        places = self.by.places(rows)
        for feature, table in self.tables.items():
            counts = count_pairs(places, buckets[feature], (table.shape[0], table.shape[1]))
            found, bins = np.nonzero(counts)
            yield pl.DataFrame(
                {"slice": names[found].tolist(), "feature": feature, "bin": bins, "count": counts[found, bins]},
                schema_overrides={"slice": pl.String, "bin": pl.Int32, "count": pl.Int64},
            )

    def tables_of(self, counts: pl.DataFrame) -> Mapping[str, Counts]:
        """The same lines, of any number of batches, as arrays (slice, bucket) by feature."""
        positions = {name: place for place, name in enumerate(self.by.names)}
        found = {feature: np.zeros_like(table) for feature, table in self.tables.items()}
        own = counts.filter(pl.col("slice").is_in(list(positions)), pl.col("feature").is_in(list(found)))
        for (feature,), lines in own.partition_by("feature", as_dict=True).items():
            places = lines["slice"].replace_strict(positions, return_dtype=pl.Int64).to_numpy()
            np.add.at(found[str(feature)], (places, lines["bin"].to_numpy()), lines["count"].to_numpy())
        return found


def count_slices(
    by: CategorySlices | NumberSlices | Seasons, rows: pl.DataFrame, buckets: Mapping[str, tuple[Buckets, int]]
) -> dict[str, list[list[int]]]:
    """The ``counts`` of these rows; ``buckets`` has the bucket of each row by feature, and how many there are."""
    places = by.places(rows)
    return {
        feature: count_pairs(places, found, (len(by.names), size)).tolist()
        for feature, (found, size) in buckets.items()
        if by.asks(feature)
    }
