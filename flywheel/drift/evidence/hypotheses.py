"""What a check asks of each feature, and how surprising the answers are: a p-value for each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from flywheel.drift.baseline import CategoryBaseline
from flywheel.drift.counting import Counts
from flywheel.drift.evidence.chi_square_test import chi_square_test
from flywheel.drift.evidence.combination import cauchy_combination
from flywheel.drift.evidence.exact_test import exact_test, exact_test_of_more
from flywheel.drift.evidence.grouping import Groups, group_categories, group_neighbours
from flywheel.drift.evidence.smooth_test import smooth_test
from flywheel.drift.measures.comparison import Comparison

Question = Literal["values", "missing", "unseen"]
Answers = dict[Question, float]

# Of the budget: most shifts are of values, and a share that changes needs few rows to be sure.
QUESTION_WEIGHTS: Mapping[Question, float] = {"values": 2.0, "missing": 1.0, "unseen": 1.0}


def answer_all(comparisons: Sequence[Comparison]) -> list[Answers]:
    """The p-values of every feature's questions: ``values``, ``missing`` and, of a category, ``unseen``.

    Each is right at any number of rows, given the pooled counts: were the window and the reference two samples of one
    distribution, it would be below any level with just that probability. A question is left out where the pooled counts
    leave no room for an answer: nothing is missing on either side, all values are the same one, a side has none.
    """
    found: list[Answers] = []
    dense: list[Groups] = []
    for comparison in comparisons:
        groups = _groups(comparison)
        found.append(_rates(comparison))
        dense.append(groups)
    large = _large_sample(comparisons, dense)
    for answers, groups, p_value in zip(found, dense, large, strict=True):
        parts = [part for part in (p_value, _rare(groups)) if part is not None]
        if parts:
            answers["values"] = cauchy_combination(parts)
    return found


def _groups(comparison: Comparison) -> Groups:
    if isinstance(comparison.baseline, CategoryBaseline):
        return group_categories(*_occupied(*_settled(comparison.baseline, comparison.reference, comparison.window)))
    return group_neighbours(*_occupied(comparison.reference[:-1], comparison.window[:-1]))


def _settled(baseline: CategoryBaseline, reference: Counts, window: Counts) -> tuple[Counts, Counts]:
    """Counts by category; where chance in the reference has a say in what is a category, that is one with the rest.

    Those that it has just often enough to be in the list are too frequent there, and what it has once might as well
    have been unseen. Without such, what is unseen is a question of its own and not counted here.
    """
    size = len(baseline.categories)
    counts = baseline.counts[:size]
    if not baseline.others and 1 not in counts:
        return reference[:size], window[:size]
    border = counts[-1] if baseline.others else 1
    # By all of the reference, also where a part of it is compared: chance chose there.
    clear = int(np.count_nonzero(baseline.table[:size] > border + 4 * np.sqrt(border)))
    return _with_rest(reference, clear), _with_rest(window, clear)


def _with_rest(counts: Counts, clear: int) -> Counts:
    return np.append(counts[:clear], counts[clear:-1].sum())


def _occupied(reference: Counts, window: Counts) -> tuple[Counts, Counts]:
    used = reference + window > 0
    return reference[used], window[used]


def _large_sample(comparisons: Sequence[Comparison], groups: Sequence[Groups]) -> list[float | None]:
    """One p-value a feature from the buckets with enough rows; None where these are fewer than two."""
    found: list[float | None] = [None] * len(groups)
    numbers = []
    for position, (comparison, each) in enumerate(zip(comparisons, groups, strict=True)):
        if each.reference.size < 2 or not (each.reference.any() and each.window.any()):
            continue
        if each.reference.size == 2:
            found[position] = _share_of_first(each)
        elif isinstance(comparison.baseline, CategoryBaseline):
            found[position] = chi_square_test(each.reference, each.window)
        else:
            numbers.append(position)
    if numbers:
        reference = stacked([groups[position].reference for position in numbers])
        window = stacked([groups[position].window for position in numbers])
        for position, p_value in zip(numbers, smooth_test(reference, window).tolist(), strict=True):
            found[position] = p_value
    return found


def _share_of_first(groups: Groups) -> float | None:
    """Two buckets are one share. Far out in its tail a chi-square is several times too sure of one: 5% of 200 rows."""
    sides = groups.reference, groups.window
    return _share(int(sides[0][0]), int(sides[1][0]), int(sides[0].sum()), int(sides[1].sum()))


def stacked(rows: Sequence[Counts]) -> Counts:
    """Rows of different lengths as one table, with zeros at their ends: buckets that are empty on both sides."""
    table = np.zeros((len(rows), max(row.size for row in rows)), dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: row.size] = row
    return table


def _rare(groups: Groups) -> float | None:
    """Whether the buckets with too few rows for anything else have more, or fewer, of the window's than they should."""
    reference, window = groups.rare_reference, groups.rare_window
    if not reference + window:
        return None
    return _share(reference, window, reference + int(groups.reference.sum()), window + int(groups.window.sum()))


def _rates(comparison: Comparison) -> Answers:
    reference, window, rows = comparison.reference, comparison.window, comparison.rows
    missing = int(reference[-1]), int(window[-1])
    asked: dict[Question, float | None] = {"missing": _share(*missing, *rows)}
    if isinstance(comparison.baseline, CategoryBaseline):
        present = rows[0] - missing[0], rows[1] - missing[1]
        asked["unseen"] = _unseen(comparison.baseline, reference, int(window[-2]), present)
    return {question: p_value for question, p_value in asked.items() if p_value is not None}


def _unseen(baseline: CategoryBaseline, reference: Counts, window: int, rows: tuple[int, int]) -> float | None:
    """Whether more of the window's rows are new than of the reference's own would be, each beside the others of it.

    A row of the reference is new to the rest where its category occurs once (I. Good, 1953); of ``others`` only the
    sum is known, so as many as can be are taken to.
    """
    size, others = len(baseline.categories), len(baseline.others)
    once = int(reference[:size][baseline.table[:size] == 1].sum())
    among_others = others if baseline.counts[size] <= others else others - 1
    expected = int(reference[-2]) + once + min(max(among_others, 0), int(reference[size]))
    return exact_test_of_more(expected, window, *rows) if all(rows) and expected + window else None


def _share(reference: int, window: int, reference_rows: int, window_rows: int) -> float | None:
    marked = reference + window
    if not reference_rows or not window_rows or marked in (0, reference_rows + window_rows):
        return None
    return exact_test(reference, window, reference_rows, window_rows)
