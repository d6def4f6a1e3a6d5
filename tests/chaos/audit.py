"""Rows that are lost, and rows that are there twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
from parcels import Parcels
from state import State

_KEY = "prediction_id"


@dataclass(frozen=True)
class Losses:
    """How many rows there should be, how many of them are not, and how many there are that should not be."""

    rows: int
    lost: int
    twice: int


def audit(found: State, expected: State) -> Losses:
    """Compare all tables, row for row, with those of an undisturbed run."""
    each = [_compare(found.tables[name], rows) for name, rows in expected.tables.items()]
    return Losses(*(sum(column) for column in zip(*each, strict=True)))


def count_ids(parcels: Parcels, expected: Iterable[str]) -> Losses:
    """Look for every id in the predictions and the quarantine, in which it must be once."""
    ids = pl.DataFrame({_KEY: list(expected)}, schema={_KEY: pl.String})
    found = pl.concat([parcels.table(name).select(_KEY) for name in ("predictions", "quarantine")])
    return Losses(*_compare(found, ids))


def _compare(found: pl.DataFrame, expected: pl.DataFrame) -> tuple[int, int, int]:
    surplus = pl.concat([_counted(found, 1), _counted(expected, -1)]).group_by("row").agg(pl.col("n").sum())["n"]
    return expected.height, -int(surplus.clip(upper_bound=0).sum()), int(surplus.clip(lower_bound=0).sum())


def _counted(rows: pl.DataFrame, sign: int) -> pl.DataFrame:
    return (
        rows.select(row=pl.struct(pl.all()).struct.json_encode()).group_by("row").agg(n=sign * pl.len().cast(pl.Int64))
    )
