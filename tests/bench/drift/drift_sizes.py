"""How PSI answers to the number of rows, to an outlier and to a shift: formulas of other tools beside ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import drift_ours
import numpy as np
import polars as pl
from drift_streams import Floats

from flywheel.drift.profile import profile

ROWS = (100, 200, 500, 1_000)
REFERENCE = 10_000
BINS = 10
COMMON = 0.1
OUTLIER = 1e4
_FLOOR = 1e-4


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Shares of windows without drift that raise an alarm, and the mean PSI before and after correction."""

    rows: int
    windows: int
    plain: float
    ours: float
    mean: float
    corrected: float


@dataclass(frozen=True, slots=True)
class Bins:
    """PSI of a formula: one sigma without and with the outlier, half a sigma, five."""

    name: str
    one: float
    outlier: float
    half: float
    five: float


def false_alarms(seed: int, rows: int, windows: int) -> FalseAlarms:
    """One normal feature; plain: PSI over the reference's deciles above 0.1; ours: a check at its budget."""
    rng = np.random.default_rng([seed, rows])
    plain, ours, mean, corrected = 0, 0, [], []
    for _ in range(windows):
        reference, window = rng.standard_normal(REFERENCE), rng.standard_normal(rows)
        plain += from_reference(reference, window) > COMMON
        baseline = drift_ours.baseline_of(pl.DataFrame({"x": reference}))
        counts = profile(pl.DataFrame({"x": window}), baseline)
        finding = drift_ours.findings(baseline, counts, rows)
        ours += finding.outcome == "drift"
        mean.append(finding.features[0].measures["psi"] or 0.0)
        corrected.append(finding.features[0].corrected["psi"] or 0.0)
    return FalseAlarms(rows, windows, plain / windows, ours / windows, float(np.mean(mean)), float(np.mean(corrected)))


def bin_choices(seed: int) -> list[Bins]:
    """The three ways to choose bins, on the same 10,000 rows a side."""
    rng = np.random.default_rng([seed, 1])
    reference, noise = rng.standard_normal(REFERENCE), rng.standard_normal(REFERENCE)
    ways: dict[str, Callable[[Floats, Floats], float]] = {
        "each side's own deciles": from_own,
        "equal widths over both sides": from_union,
        "Flywheel: the reference's deciles": _ours,
    }
    return [
        Bins(
            name,
            one=psi(reference, noise + 1),
            outlier=psi(reference, np.append(noise + 1, OUTLIER)),
            half=psi(reference, noise + 0.5),
            five=psi(reference, noise + 5),
        )
        for name, psi in ways.items()
    ]


def from_reference(reference: Floats, window: Floats) -> float:
    """Both sides in the reference's deciles."""
    edges = np.quantile(reference, np.arange(1, BINS) / BINS)
    return _psi(*(np.bincount(np.searchsorted(edges, side), minlength=BINS) for side in (reference, window)))


def from_own(reference: Floats, window: Floats) -> float:
    """Each side in deciles of its own: whatever moved, a tenth is in each."""
    edges = [np.quantile(side, np.arange(1, BINS) / BINS) for side in (reference, window)]
    sides = zip(edges, (reference, window), strict=True)
    return _psi(*(np.bincount(np.searchsorted(own, side), minlength=BINS) for own, side in sides))


def from_union(reference: Floats, window: Floats) -> float:
    """Ten bins of equal width between the smallest and the largest value of both sides."""
    edges = np.histogram_bin_edges(np.append(reference, window), BINS)
    return _psi(*(np.histogram(side, edges)[0] for side in (reference, window)))


def _ours(reference: Floats, window: Floats) -> float:
    baseline = drift_ours.baseline_of(pl.DataFrame({"x": reference}))
    found = drift_ours.findings(baseline, profile(pl.DataFrame({"x": window}), baseline), window.size)
    return found.features[0].measures["psi"] or 0.0


def _psi(reference: Floats, window: Floats) -> float:
    r, w = (np.maximum(side / side.sum(), _FLOOR) for side in (reference, window))
    return float(np.sum((w - r) * np.log(w / r)))
