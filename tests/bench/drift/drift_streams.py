"""Seeded streams with a known truth: a reference, windows without drift, and the same windows with one thing changed.

Every stream has features of the same kinds: normal (two of them correlated), skewed, heavy-tailed, integers,
zero-inflated, with missing values, and categories. A shift changes one column of the windows' rows and nothing else
(``drift_shifts``), so that what differs between a stream with and without it is the shift.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import special, stats

Floats = npt.NDArray[np.float64]

REFERENCE_ROWS = 20_000
WINDOW_ROWS = 1_000
CORRELATION = 0.7
MISSING = 0.05
ZEROS = 0.7
RATE = 4.0
TAIL = 3.0
PLANS = ("basic", "plus", "pro")
PLAN_SHARES = np.array([0.6, 0.3, 0.1])
SHOPS = tuple(f"shop-{rank:02}" for rank in range(1, 21))
SHOP_SHARES = (1 / np.arange(1, 21)) / (1 / np.arange(1, 21)).sum()
FLAG = 0.05


@dataclass(frozen=True, slots=True)
class Feature:
    """``draw`` gives n values; ``below`` the probability of a finite value at or below each of some numbers."""

    name: str
    draw: Callable[[np.random.Generator, int], pl.Series]
    below: Callable[[Floats], Floats] | None = None
    shares: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def is_numeric(self) -> bool:
        return self.below is not None


def _gaps(rng: np.random.Generator, rows: int) -> pl.Series:
    return pl.Series(np.where(rng.random(rows) < MISSING, np.nan, rng.standard_normal(rows)), nan_to_null=True)


def _zeros(rng: np.random.Generator, rows: int) -> pl.Series:
    return pl.Series(np.where(rng.random(rows) < ZEROS, 0.0, rng.exponential(size=rows)))


def _category(name: str, categories: tuple[str, ...], shares: Floats) -> Feature:
    def draw(rng: np.random.Generator, rows: int) -> pl.Series:
        return pl.Series(categories).gather(rng.choice(len(categories), rows, p=shares))

    return Feature(name, draw, shares=tuple(shares), categories=categories)


FEATURES: tuple[Feature, ...] = (
    Feature("amount", lambda rng, rows: pl.Series(rng.standard_normal(rows)), special.ndtr),
    Feature("pair", lambda rng, rows: pl.Series(rng.standard_normal(rows)), special.ndtr),
    Feature("skewed", lambda rng, rows: pl.Series(np.exp(rng.standard_normal(rows))), stats.lognorm(1).cdf),
    Feature("heavy", lambda rng, rows: pl.Series(rng.standard_t(TAIL, rows)), stats.t(TAIL).cdf),
    Feature("integer", lambda rng, rows: pl.Series(rng.poisson(RATE, rows).astype(float)), stats.poisson(RATE).cdf),
    Feature("zeros", _zeros, lambda x: np.where(x < 0, 0, ZEROS + (1 - ZEROS) * -np.expm1(-np.maximum(x, 0)))),
    Feature("gaps", _gaps, lambda x: (1 - MISSING) * special.ndtr(x)),
    _category("plan", PLANS, PLAN_SHARES),
    _category("shop", SHOPS, SHOP_SHARES),
    _category("flag", ("no", "yes"), np.array([1 - FLAG, FLAG])),
)


def draw_rows(rng: np.random.Generator, rows: int, features: Sequence[Feature] = FEATURES) -> pl.DataFrame:
    """Rows without drift; of each run of features named ``amount`` and ``pair`` the two are correlated by 0.7."""
    columns = {feature.name: feature.draw(rng, rows) for feature in features}
    for name in columns:
        if name.startswith("pair"):
            other = columns["amount" + name.removeprefix("pair")]
            columns[name] = CORRELATION * other + np.sqrt(1 - CORRELATION**2) * columns[name]
    return pl.DataFrame(columns)


def many_features(count: int) -> list[Feature]:
    """``count`` features that go round the kinds.

    >>> [feature.name for feature in many_features(12)][-3:]
    ['flag', 'amount-1', 'pair-1']
    """
    rounds = [(FEATURES[place % len(FEATURES)], place // len(FEATURES)) for place in range(count)]
    return [
        Feature(f"{kind.name}-{turn}" if turn else kind.name, kind.draw, kind.below, kind.shares, kind.categories)
        for kind, turn in rounds
    ]


def labels_of(rows: pl.DataFrame, rng: np.random.Generator, sign: float = 1.0) -> pl.Series:
    """0 or 1; what it depends on turns round with ``sign`` -1 (P(y|x) changes, no feature does)."""
    logit = sign * (rows["amount"].to_numpy() + (rows["plan"] == "pro").to_numpy())
    return pl.Series("label", (rng.random(rows.height) < special.expit(logit)).astype(np.int64))
