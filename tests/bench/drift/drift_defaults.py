"""Every tool as it comes: false alarms on streams without drift, and what it finds of each shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from drift_detection import NONE


@dataclass(frozen=True, slots=True)
class Default:
    """``rates``: the share of checks that alarm, by tool, of windows of ``rows`` rows under ``shift``."""

    shift: str
    features: int
    rows: int
    checks: int
    rates: dict[str, float]


def false_alarms(scores: pl.DataFrame, features: int, rows: int) -> Default:
    """From streams without drift."""
    return _rates(scores, NONE, features, rows)


def found_shifts(scores: pl.DataFrame, shifts: Sequence[str], features: int, rows: int) -> list[Default]:
    """Of each shift."""
    return [_rates(scores, shift, features, rows) for shift in shifts]


def _rates(scores: pl.DataFrame, shift: str, features: int, rows: int) -> Default:
    found = scores.filter(shift=shift)
    checks = found.select("stream", "check").n_unique()
    rates = dict(found.group_by("tool").agg(pl.col("alarm").mean()).iter_rows())
    return Default(shift, features, rows, checks, rates)
