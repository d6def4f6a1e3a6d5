"""What a histogram of one feature shows: reference and window, bar by bar, from the counts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flywheel.drift.baseline import CategoryBaseline
from flywheel.drift.bins import Floats, in_few_digits, is_point
from flywheel.drift.counting import Counts
from flywheel.drift.measures.comparison import Comparison

Positions = Sequence[int] | npt.NDArray[np.intp]

INNER_BARS = 18
MOST_VALUES = 20
MOST_CATEGORIES = 10


@dataclass(frozen=True, slots=True)
class Bars:
    """Shares of rows, one a label, on each side.

    ``is_range`` where the bars are neighbouring ranges of a number, and labels where they begin.
    """

    labels: list[str]
    reference: Floats
    window: Floats
    is_range: bool


def bars_of(comparison: Comparison) -> Bars:
    """Bars for one feature, or one in a slice.

    Few distinct numbers get a bar each; others equal widths between the reference's 1st and 99th percentile and a bar
    for what lies beyond on either side. Categories: the largest on either side, the rest as one. Missing values last.
    """
    baseline, reference, window = comparison.baseline, comparison.reference, comparison.window
    if isinstance(baseline, CategoryBaseline):
        return _categories(baseline, reference, window)
    edges = np.array(baseline.edges)
    points = is_point(edges)
    if points.any() and points.sum() <= MOST_VALUES and reference[:-1][~points].sum() <= 0.1 * reference[:-1].sum():
        return _values(edges, points, reference, window)
    return _ranges(edges, reference, window)


def _categories(baseline: CategoryBaseline, reference: Counts, window: Counts) -> Bars:
    size = len(baseline.categories)
    largest = np.maximum(_shares(reference), _shares(window))[:size]
    shown = np.sort(np.argsort(-largest, kind="stable")[:MOST_CATEGORIES])
    rest = np.setdiff1d(np.arange(size + 1), shown)
    groups: list[Positions] = [*([position] for position in shown.tolist()), rest, [size + 1], [size + 2]]
    labels = [*(baseline.categories[position] for position in shown), "others", "unseen", "missing"]
    return _grouped(labels, groups, reference, window, optional=3)


def _values(edges: Floats, points: npt.NDArray[np.bool_], reference: Counts, window: Counts) -> Bars:
    shown = np.flatnonzero(points)
    rest = np.flatnonzero(~points)
    groups: list[Positions] = [*([position] for position in shown.tolist()), rest, [points.size]]
    labels = [*in_few_digits(edges[shown]), "other values", "missing"]
    return _grouped(labels, groups, reference, window, optional=2)


def _grouped(labels: list[str], groups: Sequence[Positions], reference: Counts, window: Counts, optional: int) -> Bars:
    """Sum buckets by group; of the last ``optional`` bars, those that are empty on both sides are left out."""
    sides = [np.array([_shares(counts)[group].sum() for group in groups]) for counts in (reference, window)]
    kept = (sides[0] + sides[1] > 0) | (np.arange(len(labels)) < len(labels) - optional)
    names = [label for label, keep in zip(labels, kept, strict=True) if keep]
    return Bars(names, sides[0][kept], sides[1][kept], is_range=False)


def _ranges(edges: Floats, reference: Counts, window: Counts) -> Bars:
    cuts = np.linspace(edges[0], edges[-1], INNER_BARS + 1) if edges.size > 1 else edges
    names = in_few_digits(cuts)
    labels = [f"≤ {names[0]}", *names[:-1], f"> {names[-1]}"] if names else ["any value"]
    sides = [_rebinned(edges, cuts, counts) for counts in (reference, window)]
    if not (reference[-1] or window[-1]):
        return Bars(labels, sides[0][:-1], sides[1][:-1], is_range=True)
    return Bars([*labels, "missing"], sides[0], sides[1], is_range=True)


def _rebinned(edges: Floats, cuts: Floats, counts: Counts) -> Floats:
    """Shares below the first cut, between cuts, above the last, and missing; rows are spread evenly in their bin."""
    below = np.interp(cuts, edges, np.cumsum(counts[:-1])[:-1]) if cuts.size else np.array([])
    bins = np.diff([0, *below, counts[:-1].sum()])
    return np.asarray(np.append(bins, counts[-1]) / max(counts.sum(), 1))


def _shares(counts: Counts) -> Floats:
    return np.asarray(counts / max(counts.sum(), 1))
