"""The check of one window against the baseline: what each measure says, how sure that is, and the decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from flywheel.drift.baseline import Baseline
from flywheel.drift.compared import Compared, compare
from flywheel.drift.family import Family, weigh
from flywheel.drift.finding import FeatureFinding
from flywheel.drift.joint import JointFinding, judged_jointly
from flywheel.drift.judge import judge, strongest
from flywheel.drift.reason import most, not_asked, summary, verdict
from flywheel.drift.severity import Severity, is_drift, worst
from flywheel.manifest.drift import DriftConfig

Outcome = Literal["drift", "no_drift", "not_enough_data"]

# One day of the default budget, one false alarm in 30 days.
ONE_DAY = 1 / 30


class Findings(BaseModel):
    """The decision about a window; ``features`` has the worst first and is empty where data are lacking.

    Of slices ``features`` has those that are significant only, three of a feature at most. ``alpha`` is the chance of a
    false alarm that the budget gave the check; ``joint`` what was found on several features together, the surest first.
    """

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    severity: Severity
    features: list[FeatureFinding]
    reason: str
    alpha: float | None = None
    joint: list[JointFinding] = []

    @property
    def is_over_budget(self) -> bool:
        """Whether the budget of false alarms calls it drift, whoever decides."""
        return any(each.significant for each in self.features) or any(each.significant for each in self.joint)


def check_window(
    baseline: Baseline,
    counts: pl.DataFrame,
    rows: int,
    config: DriftConfig,
    alpha: float = ONE_DAY,
    joint: Sequence[JointFinding] = (),
) -> Findings:
    """Compare a window with its baseline.

    Parameters
    ----------
    counts
        The merged profile of the window, made on this baseline.
    rows
        Rows in the window.
    alpha
        The chance that this check may find drift in any feature where there is none (``evidence.budget.level``).
    joint
        What several features show together, not yet judged beside the questions of each.

    Raises
    ------
    FlywheelError
        The profile was made on another baseline.
    """
    short = _shortage(baseline, rows, baseline.rows, config)
    if short:
        return _not_enough(short)
    compared = compare(baseline, counts, rows, config)
    short = _shortage(baseline, compared.rows, compared.reference_rows, config)
    if short:
        return _not_enough("; ".join([short, *compared.notes]))
    family = weigh(compared, config.weights, joint)
    features = _judged(compared, family, config, alpha)
    absent = [name for name in config.features or [] if name not in baseline.features]
    return _decide(
        features,
        judged_jointly(joint, family.joint, alpha),
        [*_unjudged(features, absent, config), *compared.notes],
        family.smallest,
        config,
        alpha,
    )


def _shortage(baseline: Baseline, rows: int, reference_rows: int, config: DriftConfig) -> str | None:
    if rows < config.fewest_rows:
        return f"{rows:,} rows in the window; a check needs {config.fewest_rows:,}"
    if reference_rows < config.fewest_rows:
        return f"{reference_rows:,} rows in baseline {baseline.id}; a check needs {config.fewest_rows:,}"
    return None


def _judged(compared: Compared, family: Family, config: DriftConfig, alpha: float) -> list[FeatureFinding]:
    whole = [judge(each, found, config, alpha) for each, found in zip(compared.whole, family.whole, strict=True)]
    slices = [
        judge(each, found, config, alpha)
        for each, found in zip(compared.slices, family.slices, strict=True)
        if found.adjusted_p is not None and found.adjusted_p <= alpha
    ]
    drifted = {finding.feature for finding in whole if is_drift(finding.severity)}
    return sorted([*whole, *strongest(slices, whole)], key=lambda each: _rank(each, drifted, config))


def _rank(finding: FeatureFinding, drifted: set[str], config: DriftConfig) -> tuple[bool, bool, float, float]:
    """What drifted first, and slices of what drifted as a whole after all that is news."""
    is_slice = finding.slice is not None
    is_known = is_slice and finding.feature in drifted
    if is_known:
        return not is_drift(finding.severity), True, -finding.size, 0
    if not config.budget_decides:
        return not is_drift(finding.severity), is_slice, -(finding.ratio or 0), 0
    smallest = 2.0 if finding.adjusted_p is None else finding.adjusted_p
    return not is_drift(finding.severity), False, smallest, -finding.size


def _is_judged(finding: FeatureFinding, config: DriftConfig) -> bool:
    return finding.measures["missing_rate"] is not None and (config.thresholds is None or finding.ratio is not None)


def _unjudged(features: Sequence[FeatureFinding], absent: Iterable[str], config: DriftConfig) -> list[str]:
    names = [each.feature for each in features if each.slice is None and not _is_judged(each, config)]
    names += absent
    return [f"not judged, for want of values, a threshold or a baseline: {', '.join(names)}"] if names else []


def _decide(
    features: list[FeatureFinding],
    joint: list[JointFinding],
    notes: Sequence[str],
    smallest: float,
    config: DriftConfig,
    alpha: float,
) -> Findings:
    judged = [finding for finding in features if finding.slice is not None or _is_judged(finding, config)]
    if not judged:
        return _not_enough("; ".join(["no feature could be judged", *notes]))
    is_found = any(is_drift(finding.severity) for finding in judged) or any(each.significant for each in joint)
    told = [summary(judged, joint), f"most: {most(judged, config)}", verdict(judged, joint, smallest, config, alpha)]
    return Findings(
        outcome="drift" if is_found else "no_drift",
        severity=worst([finding.severity for finding in judged] + [each.severity for each in joint]),
        features=features,
        reason="; ".join([*told, *notes, *not_asked(joint)]),
        alpha=alpha,
        joint=joint,
    )


def _not_enough(reason: str) -> Findings:
    return Findings(outcome="not_enough_data", severity="none", features=[], reason=reason)
