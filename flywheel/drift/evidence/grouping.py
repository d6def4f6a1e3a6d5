"""Buckets with too few rows for a large-sample test, joined to groups or set apart for an exact one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from flywheel.drift.counting import Counts

# Cochran's rule for expected counts.
FEWEST = 5.0
# A small bucket beside one that is larger by this factor is not of its kind: a new value beside a constant.
APART = 10.0


@dataclass(frozen=True, slots=True)
class Groups:
    """Counts of groups with enough rows, and of the rows in buckets that make no group, on both sides.

    Which bucket goes where depends on the reference or on the pooled counts, never on the window's alone, so that tests
    given those stay right; and given the sum of the rare rows, the two parts are independent.
    """

    reference: Counts
    window: Counts
    rare_reference: int
    rare_window: int


def group_neighbours(reference: Counts, window: Counts) -> Groups:
    """Groups of an ordered feature: only neighbours are joined, until the reference leads to expect enough rows.

    Not until both sides do: the reference's counts in the bins of a continuous number are fixed by how the bins were
    made, and to choose bins by what the window has in them would be to choose what is tested by its outcome. Rare are
    only small buckets beside far larger ones, which no bins of a continuous number are.
    """
    rare = _outliers(_expected(reference, window))
    kept = np.delete(np.arange(reference.size), rare) if rare else np.arange(reference.size)
    expected = reference[kept] * (min(1.0, window.sum() / max(reference.sum(), 1)))
    if not rare and (not expected.size or expected.min() >= FEWEST):
        return Groups(reference, window, 0, 0)
    groups: list[list[int]] = []
    waiting: list[int] = []  # for the neighbour above
    for is_large, run in groupby(range(kept.size), lambda place: bool(expected[place] >= FEWEST)):
        if is_large:
            large = [[place] for place in run]
            large[0] = waiting + large[0]
            groups, waiting = groups + large, []
            continue
        joined, left = _join(run, expected)
        groups += joined
        if left and groups and (left[-1] + 1 == kept.size or expected[left[0] - 1] < expected[left[-1] + 1]):
            groups[-1] = groups[-1] + left
        else:
            waiting = left
    places = [*groups, waiting] if waiting else groups
    return _sums(reference, window, [kept[group].tolist() for group in places], rare)


def _outliers(expected: np.ndarray) -> list[int]:
    """The buckets of small runs beside far larger buckets."""
    found: list[int] = []
    if not expected.size or expected.min() >= FEWEST:
        return found
    for is_large, run in groupby(range(expected.size), lambda bucket: bool(expected[bucket] >= FEWEST)):
        small = [] if is_large else list(run)
        beside = (
            [expected[bucket] for bucket in (small[0] - 1, small[-1] + 1) if 0 <= bucket < expected.size]
            if small
            else []
        )
        rows = float(expected[small].sum())
        if beside and rows < FEWEST and rows * APART < min(beside):
            found += small
    return found


def group_categories(reference: Counts, window: Counts) -> Groups:
    """Groups of a feature without order: the small buckets are joined, smallest first."""
    expected = _expected(reference, window)
    if expected.size and expected.min() >= FEWEST:
        return Groups(reference, window, 0, 0)
    groups = [[bucket] for bucket in np.flatnonzero(expected >= FEWEST).tolist()]
    small = np.flatnonzero(expected < FEWEST)
    joined, rare = _join(small[np.argsort(expected[small], kind="stable")].tolist(), expected)
    return _sums(reference, window, groups + joined, rare)


def _expected(reference: Counts, window: Counts) -> np.ndarray:
    """Rows to be expected in each bucket of the smaller side."""
    n, m = int(reference.sum()), int(window.sum())
    return np.asarray((reference + window) * (min(n, m) / max(n + m, 1)))


def _join(buckets: Iterable[int], expected: np.ndarray) -> tuple[list[list[int]], list[int]]:
    """Groups of consecutive buckets with enough rows; the last takes the remainder. Without any, all are rare."""
    groups: list[list[int]] = []
    current: list[int] = []
    rows = 0.0
    for bucket in buckets:
        current.append(bucket)
        rows += expected[bucket]
        if rows >= FEWEST:
            groups.append(current)
            current, rows = [], 0.0
    if not groups:
        return [], current
    groups[-1] += current
    return groups, []


def _sums(reference: Counts, window: Counts, groups: list[list[int]], rare: list[int]) -> Groups:
    if not groups:
        none = np.zeros(0, dtype=np.int64)
        return Groups(none, none, int(reference[rare].sum()), int(window[rare].sum()))
    order = np.concatenate(groups)
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    sides = [np.add.reduceat(side[order], starts) for side in (reference, window)]
    return Groups(sides[0], sides[1], int(reference[rare].sum()), int(window[rare].sum()))
