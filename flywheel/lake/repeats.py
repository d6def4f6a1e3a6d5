"""Which values come more than once: a sort of 64-bit numbers costs a third of grouping ids."""

from __future__ import annotations

import numpy as np
import polars as pl


def repeated(keys: pl.Series) -> pl.Series:
    """Return for each whole number whether it is there more than once.

    >>> repeated(pl.Series([7, 8, 7])).to_list()
    [True, False, True]
    """
    ordered = np.sort(keys.to_numpy())
    several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return keys.is_in(pl.Series(several, dtype=keys.dtype).implode())


def may_repeat(ids: pl.Series) -> pl.Series:
    """Return for each id whether it may be there more than once; false is certain.

    >>> may_repeat(pl.Series(["a", "b", "a", "c"])).to_list()
    [True, False, True, False]
    """
    return repeated(ids.hash())
