"""Ours: fit a baseline, profile rows, check the window, as production does.

Many shifts of one window ask the same of most features again and again, so that p-values are taken from ``answer_all``
once and adjusted for each shift. The first check of each stream goes through ``check_window`` too, which must agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.check import Findings, check_window
from flywheel.drift.evidence.false_discovery import adjusted
from flywheel.drift.evidence.hypotheses import QUESTION_WEIGHTS, Answers, answer_all
from flywheel.drift.measured import Measured
from flywheel.drift.measures.comparison import Comparison
from flywheel.drift.profile import profile
from flywheel.manifest.drift import DriftConfig

CONFIG = DriftConfig(min_rows=1)
ALPHA = 1 / 30  # `false_alarms: 1 per 30d`, one check a day
CHECKS_IN_BUDGET = {"daily": 30, "hourly": 720}  # hourly is the schedule of `check-drift` at its defaults
SMALLEST = 1e-300


def baseline_of(reference: pl.DataFrame) -> Baseline:
    """The frozen reference of numbers and categories."""
    kinds = {name: "numeric" if dtype.is_numeric() else "category" for name, dtype in reference.schema.items()}
    return fit_baseline(reference, [Measured(name, kind) for name, kind in kinds.items()], "bench")


def findings(baseline: Baseline, counts: pl.DataFrame, rows: int) -> Findings:
    """A whole check at the budget's level."""
    return check_window(baseline, counts, rows, CONFIG, ALPHA)


def smallest(answers: Iterable[Answers]) -> float:
    """The smallest adjusted p-value, which an alarm is decided by."""
    asked = [(p, QUESTION_WEIGHTS[question]) for each in answers for question, p in each.items()]
    p_values, weights = np.array(asked).T
    return max(float(adjusted(p_values, weights).min()), SMALLEST)


def assert_same(found: Findings, p_value: float) -> None:
    """A check says what its evidence says, and decides by it."""
    said = min(each.adjusted_p for each in found.features if each.adjusted_p is not None)
    assert np.isclose(np.log10(max(said, SMALLEST)), np.log10(p_value)), (said, p_value)
    assert (found.outcome == "drift") == (p_value <= ALPHA), (found.outcome, p_value)


def shift_scores(reference: pl.DataFrame, windows: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """Per stream, check and shift: score, -log10 of the smallest adjusted p-value, and alarm.

    ``columns`` as in ``drift_blocks``. The first check of each stream is made whole, with every shift.
    """
    features = [column for column, feature in columns.items() if column == feature]
    shifts = [column for column in columns if column not in features]
    found = []
    for (stream,), known in reference.partition_by("stream", as_dict=True, include_key=False).items():
        baseline = baseline_of(known.select(features))
        checks = windows.filter(stream=stream).partition_by("check", as_dict=True, include_key=False)
        for (check,), window in checks.items():
            answers = dict(zip(columns, _answers(baseline, window, columns), strict=True))
            for shift in ["none", *shifts]:
                used = [shift if columns.get(shift) == feature else feature for feature in features]
                p_value = smallest(answers[column] for column in used)
                found.append((stream, check, shift, -np.log10(p_value), p_value <= ALPHA))
                if check == 0:
                    rows = window.select(
                        pl.col(column).alias(name) for column, name in zip(used, features, strict=True)
                    )
                    assert_same(findings(baseline, profile(rows, baseline), rows.height), p_value)
    return pl.DataFrame(found, schema=["stream", "check", "shift", "score", "alarm"], orient="row")


def _answers(baseline: Baseline, window: pl.DataFrame, columns: Mapping[str, str]) -> Sequence[Answers]:
    """The p-values of every column, each counted in the buckets of the feature that it stands for."""
    measured = {feature.name: feature for feature in baseline.measured}
    comparisons = []
    for column, name in columns.items():
        values = measured[name].values(window.select(pl.col(column).alias(name)))
        comparisons.append(Comparison(baseline.features[name], baseline.features[name].count(values)))
    return answer_all(comparisons)
