"""Rows as a database driver gives them, as columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl

_AS_THEY_ARE = (int, float, str, bool, datetime, date, time, Decimal, bytes)


def to_frame(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> pl.DataFrame:
    """Return fetched rows as columns, each with one type; a column of mixed types becomes text."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    series = [to_series(name, values) for name, values in zip(names, columns, strict=True)]
    return pl.DataFrame(series)


def to_series(name: str, values: Sequence[Any]) -> pl.Series:
    """Return one fetched column: JSON columns, UUIDs and what else has no type here become text.

    >>> to_series("a", [1, None, 2.5]).to_list(), to_series("b", [1, "x"]).to_list()
    ([1.0, None, 2.5], ['1', 'x'])
    """
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pl.Series(name, values, dtype=pl.Null)
    if kinds == {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if len(kinds) == 1 and kinds.pop() in _AS_THEY_ARE:
        try:
            return pl.Series(name, values)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            return _text(name, values)
    return _text(name, values)


def _text(name: str, values: Sequence[Any]) -> pl.Series:
    return pl.Series(name, [_one_text(value) for value in values], dtype=pl.String)


def _one_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool | dict | list):
        return json.dumps(value, default=str)
    return value.hex() if isinstance(value, bytes) else str(value)
