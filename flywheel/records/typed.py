"""Values as the manifest's types: text and numbers are read as what they say, everything else is a wrong type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from flywheel.manifest.features import FeatureType
from flywheel.manifest.schema import COLUMN_TYPES
from flywheel.records.masks import is_null, is_true, nowhere, only_finite
from flywheel.records.text import as_text

_TOO_LARGE = float(2**63)


@dataclass(frozen=True)
class Typed:
    """``values``: of the wanted type; null where missing or wrong. ``wrong``: there is a value, but of another type."""

    values: pl.Series
    wrong: pl.Series


def read_typed(found: pl.Series, kind: FeatureType) -> Typed:
    """Read a column as float (Float64), integer (Int64), boolean or category (String); NaN and infinities are missing.

    >>> typed = read_typed(pl.Series(["1.5", "NaN", "high", None]), "float")
    >>> typed.values.to_list(), typed.wrong.to_list()
    ([1.5, None, None, None], [False, False, True, False])
    """
    column = only_finite(found)
    if not _can_be(column.dtype, kind):
        nothing = pl.Series(found.name, [None], dtype=COLUMN_TYPES[kind]).new_from_index(0, len(found))
        return Typed(nothing, ~is_null(column))
    present = column if kind == "category" else _no_blanks(column)
    values = _READERS[kind](present)
    if values.null_count() == present.null_count():
        return Typed(values, nowhere(len(found)))
    return Typed(values, ~is_null(present) & is_null(values) & ~_says_not_finite(present, kind))


def _can_be(dtype: pl.DataType, kind: FeatureType) -> bool:
    if dtype in (pl.String, pl.Null):
        return True
    if dtype == pl.Boolean:
        return kind in ("boolean", "category")
    return dtype.is_numeric() or (kind == "category" and (dtype.is_temporal() or dtype == pl.Binary))


def _no_blanks(column: pl.Series) -> pl.Series:
    if column.dtype != pl.String:
        return column
    return column.str.strip_chars().replace("", None)


def _says_not_finite(column: pl.Series, kind: FeatureType) -> pl.Series:
    """Text such as NaN or Infinity is a missing number, not a wrong one."""
    if column.dtype != pl.String or kind == "category":
        return nowhere(len(column))
    numbers = column.cast(pl.Float64, strict=False)
    return is_true(numbers.is_nan() | numbers.is_infinite())


def _read_float(column: pl.Series) -> pl.Series:
    # A column of floats has been looked through for them already.
    return column if column.dtype == pl.Float64 else only_finite(column.cast(pl.Float64, strict=False))


def _read_integer(column: pl.Series) -> pl.Series:
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    whole = column.cast(pl.Int64, strict=False) if column.dtype == pl.String else None
    numbers = column.cast(pl.Float64, strict=False)
    fits = (numbers == numbers.round()) & (numbers.abs() < _TOO_LARGE)
    rounded = numbers.set(~fits.fill_null(False), None).cast(pl.Int64, strict=False)
    return rounded if whole is None else whole.zip_with(whole.is_not_null(), rounded)


def _read_boolean(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column
    text = column.str.to_lowercase() if column.dtype == pl.String else column.cast(pl.Float64).cast(pl.String)
    words = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    return text.replace_strict(words, default=None, return_dtype=pl.Boolean)


def _read_category(column: pl.Series) -> pl.Series:
    return as_text(column)


_READERS: dict[FeatureType, Callable[[pl.Series], pl.Series]] = {
    "float": _read_float,
    "integer": _read_integer,
    "boolean": _read_boolean,
    "category": _read_category,
}
