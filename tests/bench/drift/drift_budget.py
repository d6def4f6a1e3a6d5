"""Realised false alarms of many streams without drift against their budget.

Baselines are fitted on raw rows; the windows' counts are then drawn from their exact law given the baseline's buckets
(multinomial), and weighed as a check weighs them. What this leaves out, counting raw rows, is compared on some streams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import drift_ours
import numpy as np
import numpy.typing as npt
import polars as pl
from drift_ours import CHECKS_IN_BUDGET
from drift_streams import REFERENCE_ROWS, Feature, Floats, draw_rows, many_features
from scipy import stats

from flywheel.drift.baseline import CategoryBaseline, NumericBaseline
from flywheel.drift.evidence.hypotheses import answer_all
from flywheel.drift.measures.comparison import Comparison
from flywheel.drift.profile import PROFILE_SCHEMA

FEATURES = 50
COMPARED = 10  # streams whose first checks also go through ``check_window``


@dataclass(frozen=True, slots=True)
class Budget:
    """``alarms`` of ``checks`` in all; ``low`` and ``high``: the 95% Poisson interval of what the budget allows.

    ``rows`` of a window; ``schedule``: one of ``CHECKS_IN_BUDGET``, by which the level of a check is known.
    """

    rows: int
    schedule: str
    streams: int
    checks: int
    alarms: int
    allowed: float
    low: int
    high: int
    spread: float

    @property
    def alarms_in_30_days(self) -> float:
        return self.alarms / self.checks * CHECKS_IN_BUDGET[self.schedule]

    @property
    def is_kept(self) -> bool:
        return self.alarms <= self.high

    @property
    def is_within(self) -> bool:
        return self.low <= self.alarms <= self.high


def p_values_of_stream(seed: int, stream: int, rows: int, checks: int, features: int = FEATURES) -> list[float]:
    """The p-values that ``checks`` checks of one stream are decided by."""
    rng = np.random.default_rng([seed, stream])
    drawn = many_features(features)
    baseline = drift_ours.baseline_of(draw_rows(rng, REFERENCE_ROWS, drawn))
    windows = {
        feature.name: rng.multinomial(rows, _probabilities(feature, baseline.features[feature.name]), checks)
        for feature in drawn
    }
    decisive = []
    for check in range(checks):
        counts = {name: found[check] for name, found in windows.items()}
        compared = [Comparison(feature, counts[name]) for name, feature in baseline.features.items()]
        smallest = drift_ours.smallest(answer_all(compared))
        if stream < COMPARED and check == 0:
            drift_ours.assert_same(drift_ours.findings(baseline, _profile(counts), rows), smallest)
        decisive.append(smallest)
    return decisive


def summaries(p_values: Sequence[Sequence[float]], rows: int) -> list[Budget]:
    """The alarms of all streams against a budget of 1 per 30d on each schedule."""
    found = np.array(p_values)
    return [
        _summary(found <= 1 / each, rows, schedule, found.size / each) for schedule, each in CHECKS_IN_BUDGET.items()
    ]


def _summary(alarms: npt.NDArray[np.bool_], rows: int, schedule: str, allowed: float) -> Budget:
    """``spread`` is the variance of alarms over streams by their mean, Poisson 1."""
    by_stream = alarms.sum(axis=1)
    low, high = stats.poisson.interval(0.95, allowed)
    spread = float(by_stream.var(ddof=1) / by_stream.mean()) if len(by_stream) > 1 and by_stream.any() else 0.0
    return Budget(
        rows, schedule, len(by_stream), alarms.size, int(by_stream.sum()), allowed, int(low), int(high), spread
    )


def _probabilities(feature: Feature, baseline: NumericBaseline | CategoryBaseline) -> Floats:
    """The chance of each of the baseline's buckets under the truth."""
    if isinstance(baseline, CategoryBaseline):
        shares = dict(zip(feature.categories, feature.shares, strict=True))
        known = [shares[name] for name in baseline.categories]
        return np.array([*known, 0.0, max(0.0, 1 - sum(known)), 0.0])
    assert feature.below is not None
    edges = np.array(baseline.edges)
    below = np.append(feature.below(edges), feature.below(np.array([np.inf])))
    return np.append(np.diff(below, prepend=0.0).clip(0), 1 - below[-1])


def _profile(counts: Mapping[str, np.ndarray]) -> pl.DataFrame:
    parts = [
        pl.DataFrame(
            {"slice": None, "feature": [name] * len(found), "bin": range(len(found)), "count": found},
            schema=PROFILE_SCHEMA,
        )
        for name, found in counts.items()
    ]
    return pl.concat(parts)
