"""Prints the tables of docs/drift-measures.md about the smooth test: its realised level, and its power beside others'.

Windows are drawn from their exact law given the bins: the edges are order statistics of the reference, so that the
shares between them are Dirichlet; a change is given by its distribution function.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from drift_streams import Floats
from scipy import stats
from scipy.special import ndtr, ndtri

from flywheel.drift.counting import Counts
from flywheel.drift.evidence.grouping import group_neighbours
from flywheel.drift.evidence.hypotheses import stacked
from flywheel.drift.evidence.smooth_test import components, smooth_test

BINS = 100
LEVELS = (0.1, 1 / 30, 0.01, 0.001)
CHUNK = 1_000
REFERENCE, WINDOW, LEVEL = 10_000, 1_000, 0.001
# Rows of window and reference, and how many windows.
SIZES = (
    (100, 10_000, 100_000),
    (200, 10_000, 100_000),
    (500, 500, 100_000),
    (1_000, 1_000, 100_000),
    (1_000, 10_000, 300_000),
    (5_000, 2_000, 100_000),
)
NULL, WINDOWS, RAW = 100_000, 10_000, 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """Of a standard normal: ``below`` is the distribution function afterwards, ``draw`` gives such values."""

    name: str
    below: Callable[[Floats], Floats]
    draw: Callable[[np.random.Generator, int], Floats]


def _moved(name: str, mean: float, std: float) -> Change:
    return Change(name, lambda x: ndtr((x - mean) / std), lambda rng, rows: rng.normal(mean, std, rows))


def _mixed(name: str, share: float, mean: float, std: float) -> Change:
    def draw(rng: np.random.Generator, rows: int) -> Floats:
        return np.where(rng.random(rows) < share, rng.normal(mean, std, rows), rng.standard_normal(rows))

    return Change(name, lambda x: (1 - share) * ndtr(x) + share * ndtr((x - mean) / std), draw)


CHANGES = (
    _moved("mean + 0.1σ", 0.1, 1),
    _moved("mean + 0.15σ", 0.15, 1),
    _moved("std × 1.1", 0, 1.1),
    _moved("std × 1.15", 0, 1.15),
    _mixed("5% bump at 0.5σ", 0.05, 0.5, 0.1),
    _mixed("5% bump at 1.5σ", 0.05, 1.5, 0.1),
    Change("t with 5 df", stats.t(5).cdf, lambda rng, rows: rng.standard_t(5, rows)),
    _mixed("2% far above", 0.02, 6, 0.1),
)


def windows(
    rng: np.random.Generator, n: int, m: int, count: int, below: Callable[[Floats], Floats] = ndtr
) -> tuple[Counts, Counts]:
    """Counts of ``count`` windows of m rows in the percentiles of references of n rows, as (window, bin)."""
    edges = -(-np.arange(1, BINS) * n // BINS)
    reference = np.diff([0, *edges, n])
    gaps = rng.standard_gamma(np.broadcast_to(reference + (np.arange(BINS) == BINS - 1), (count, BINS)))
    places = np.cumsum(gaps, axis=1)[:, :-1] / gaps.sum(axis=1, keepdims=True)
    heights = below(ndtri(places))
    shares = np.diff(heights, axis=1, prepend=0.0, append=1.0).clip(0)
    return np.broadcast_to(reference, shares.shape), rng.multinomial(m, shares / shares.sum(axis=1, keepdims=True))


def levels(window_rows: int, reference_rows: int, count: int) -> Floats:
    """Realised / nominal rate at each of ``LEVELS``."""
    rng = np.random.default_rng([window_rows, reference_rows])
    below = np.zeros(len(LEVELS))
    for _ in range(count // CHUNK):
        sides = zip(*windows(rng, reference_rows, window_rows, CHUNK), strict=True)
        groups = [group_neighbours(*pair) for pair in sides]
        p = smooth_test(stacked([each.reference for each in groups]), stacked([each.window for each in groups]))
        below += [np.count_nonzero(p <= level) for level in LEVELS]
    return below / count / LEVELS


def statistics(reference: Counts, window: Counts) -> Mapping[str, Floats]:
    """Of each test, the larger the stranger; windows (window, bin)."""
    degrees = np.arange(1, 21)
    squares = components(reference, window) ** 2
    r, w = (side / side.sum(axis=1, keepdims=True) for side in (reference, window))
    pooled = np.cumsum(reference + window, axis=1)[:, :-1] / (reference + window).sum(axis=1, keepdims=True)
    gap = (np.cumsum(r, axis=1) - np.cumsum(w, axis=1))[:, :-1]
    tenths = [side.reshape(len(side), 10, -1).sum(axis=2) for side in (r, w)]
    return {
        "Anderson–Darling": np.sum(gap**2 / (pooled * (1 - pooled)), axis=1),
        "Wilcoxon": squares[:, 0],
        "Pearson, 10 bins": np.sum((tenths[1] - tenths[0]) ** 2 / (tenths[0] + tenths[1]), axis=1),
        "smooth test, weights 1/√k": squares @ (1 / np.sqrt(degrees)),
        "**smooth test, weights 1/k**": squares @ (1 / degrees),
        "smooth test, weights 1/k^1.5": squares @ degrees**-1.5,
    }


def powers() -> Mapping[str, list[float]]:
    """By test, the power against each change at its own simulated 0.001 quantile; ``ks_2samp`` at its p-value."""
    rng = np.random.default_rng(7)
    quiet = [statistics(*windows(rng, REFERENCE, WINDOW, CHUNK)) for _ in range(NULL // CHUNK)]
    limits = {name: np.quantile(np.concatenate([each[name] for each in quiet]), 1 - LEVEL) for name in quiet[0]}
    found: dict[str, list[float]] = {"`ks_2samp`": [], **{name: [] for name in limits}}
    for change in CHANGES:
        references, moved = rng.standard_normal((RAW, REFERENCE)), change.draw(rng, RAW * WINDOW).reshape(RAW, WINDOW)
        pairs = zip(references, moved, strict=True)
        found["`ks_2samp`"].append(
            float(np.mean([stats.ks_2samp(*pair, method="asymp").pvalue <= LEVEL for pair in pairs]))
        )
        changed = [statistics(*windows(rng, REFERENCE, WINDOW, CHUNK, change.below)) for _ in range(WINDOWS // CHUNK)]
        for name, limit in limits.items():
            found[name].append(float(np.mean(np.concatenate([each[name] for each in changed]) > limit)))
    return found


def main() -> None:
    """Both tables, as Markdown."""
    print("| n (window) | m (reference) | 0.1 | 1/30 | 0.01 | 0.001 |\n|---|---|---|---|---|---|")
    for window_rows, reference_rows, count in SIZES:
        errors = 1.96 * np.sqrt((1 - np.array(LEVELS)) / np.array(LEVELS) / count)
        cells = [
            f"{rate:.2f} ± {error:.2f}"
            for rate, error in zip(levels(window_rows, reference_rows, count), errors, strict=True)
        ]
        print(f"| {window_rows:,} | {reference_rows:,} | {' | '.join(cells)} |", flush=True)
    print(f"\n| test | {' | '.join(change.name for change in CHANGES)} |\n|---|{'---|' * len(CHANGES)}")
    for name, row in powers().items():
        print(f"| {name} | {' | '.join(f'{power:.2f}' for power in row)} |")


if __name__ == "__main__":
    main()
