"""scipy: Kolmogorov-Smirnov for numbers, chi-square for categories; missing values are left out, as both need."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from scipy import stats

LEVEL = 0.05


def column_scores(reference: pl.DataFrame, windows: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """Per stream, check and column: score is -log10(p); alarm is p < 0.05."""
    found = []
    parts = reference.partition_by("stream", as_dict=True, include_key=False)
    for (stream, check), window in windows.partition_by("stream", "check", as_dict=True, include_key=False).items():
        known = parts[(stream,)]
        for column, feature in columns.items():
            p = _p_value(known[feature].drop_nulls(), window[column].drop_nulls())
            found.append((stream, check, column, -np.log10(max(p, 1e-300)), p < LEVEL))
    return pl.DataFrame(found, schema=["stream", "check", "column", "score", "alarm"], orient="row")


def _p_value(reference: pl.Series, window: pl.Series) -> float:
    if reference.dtype.is_numeric():
        return float(stats.ks_2samp(reference.to_numpy(), window.to_numpy()).pvalue)
    sides = [side.value_counts().rename({side.name: "value"}) for side in (reference, window)]
    table = sides[0].join(sides[1], on="value", how="full", coalesce=True).fill_null(0).drop("value")
    return float(stats.chi2_contingency(table.to_numpy(), correction=False).pvalue) if table.height > 1 else 1.0
