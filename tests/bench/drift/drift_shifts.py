"""The shifts: each changes one column of a stream's windows, from the first check on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from drift_streams import RATE, ZEROS, Floats

RAMP_CHECKS = 20
PERIOD, ON = 5, 2


@dataclass(frozen=True, slots=True)
class Shift:
    """``change`` gets the column's values, the check of each row (from 0) and a generator; None changes no feature.

    ``kind`` is what the tables group by. ``sudden``: the same from the first check on, so that its power is that of
    any check.
    """

    name: str
    kind: str
    feature: str | None
    change: Callable[[pl.Series, Floats, np.random.Generator], pl.Series] | None = None
    sudden: bool = True


def _plus(size: float) -> Callable[[pl.Series, Floats, np.random.Generator], pl.Series]:
    return lambda values, check, rng: values + size


def _times(factor: float) -> Callable[[pl.Series, Floats, np.random.Generator], pl.Series]:
    return lambda values, check, rng: values * factor


def _ramp(size: float) -> Callable[[pl.Series, Floats, np.random.Generator], pl.Series]:
    return lambda values, check, rng: values + size * np.minimum((check + 1) / RAMP_CHECKS, 1)


def _on_and_off(size: float) -> Callable[[pl.Series, Floats, np.random.Generator], pl.Series]:
    return lambda values, check, rng: values + size * (check % PERIOD < ON)


def _more_events(values: pl.Series, check: Floats, rng: np.random.Generator) -> pl.Series:
    return values + rng.poisson(0.06 * RATE, len(values))


def _fewer_zeros(values: pl.Series, check: Floats, rng: np.random.Generator) -> pl.Series:
    turned = (values == 0).to_numpy() & (rng.random(len(values)) < 0.04 / ZEROS)
    return pl.Series(np.where(turned, rng.exponential(size=len(values)), values.to_numpy()))


def _drawn_anew(values: pl.Series, check: Floats, rng: np.random.Generator) -> pl.Series:
    return pl.Series(rng.standard_normal(len(values)))


def _lost(share: float) -> Callable[[pl.Series, Floats, np.random.Generator], pl.Series]:
    def change(values: pl.Series, check: Floats, rng: np.random.Generator) -> pl.Series:
        return pl.select(pl.when(pl.Series(rng.random(len(values)) >= share)).then(values)).to_series()

    return change


def _moved(source: str, to: str, share: float) -> Callable[[pl.Series, Floats, np.random.Generator], pl.Series]:
    """``share`` of the rows of one category say another."""

    def change(values: pl.Series, check: Floats, rng: np.random.Generator) -> pl.Series:
        turned = (values == source) & pl.Series(rng.random(len(values)) < share)
        return pl.select(pl.when(turned).then(pl.lit(to)).otherwise(values)).to_series()

    return change


SHIFTS: tuple[Shift, ...] = (
    Shift("normal, mean +0.05 sd", "abrupt", "amount", _plus(0.05)),
    Shift("normal, mean +0.1 sd", "abrupt", "amount", _plus(0.1)),
    Shift("normal, mean +0.2 sd", "abrupt", "amount", _plus(0.2)),
    Shift("normal, mean +0.5 sd", "abrupt", "amount", _plus(0.5)),
    Shift("skewed, times 1.1", "abrupt", "skewed", _times(1.1)),
    Shift("heavy tails, +0.15", "abrupt", "heavy", _plus(0.15)),
    Shift("integers, mean +6%", "abrupt", "integer", _more_events),
    Shift("zero-inflated, zeros 70% to 66%", "abrupt", "zeros", _fewer_zeros),
    Shift("normal, ramp to +0.2 sd", "gradual", "amount", _ramp(0.2), sudden=False),
    Shift("normal, +0.15 sd in 2 checks of 5", "recurring", "amount", _on_and_off(0.15), sudden=False),
    Shift("normal, sd times 1.1", "variance", "amount", _times(1.1)),
    Shift("normal, sd times 1.2", "variance", "amount", _times(1.2)),
    Shift("3 categories, 60% to 55%", "categorical", "plan", _moved("basic", "plus", 0.05 / 0.6)),
    Shift("20 categories, 14% to 10.5%", "categorical", "shop", _moved("shop-02", "shop-12", 0.25)),
    Shift("a new category, 0.6%", "categorical", "plan", _moved("basic", "new", 0.01)),
    Shift("missing values, 5% to 7.9%", "missing", "gaps", _lost(0.03)),
    Shift("missing values, 0 to 0.5%", "missing", "amount", _lost(0.005)),
    Shift("correlation 0.7 to 0", "correlation", "pair", _drawn_anew),
    Shift("labels turned round", "label", None),
)
