"""The check of one window against the baseline: what each measure says, how bad that is, and the decision."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from flywheel.drift.baseline import Baseline
from flywheel.drift.measured import Kind, Measured
from flywheel.drift.measures import measure_all
from flywheel.drift.measures.comparison import Comparison
from flywheel.drift.profile import counts_by_feature
from flywheel.drift.severity import Severity, is_drift, severity_of, worst
from flywheel.manifest.drift import DriftConfig

Outcome = Literal["drift", "no_drift", "not_enough_data"]


class FeatureFinding(BaseModel):
    """What was measured on one feature.

    Attributes
    ----------
    measures
        The value of every measure, thresholds or not; None where it is undefined.
    worst_measure, threshold
        The measure with the largest value / threshold, and that threshold; None where no threshold applies.
    ratio
        That value / threshold: 1 and more is drift.
    """

    model_config = ConfigDict(frozen=True)

    feature: str
    kind: Kind
    measures: dict[str, float | None]
    severity: Severity = "none"
    worst_measure: str | None = None
    threshold: float | None = None
    ratio: float | None = None

    def __str__(self) -> str:
        value = self.measures[self.worst_measure] if self.worst_measure else None
        if value is None:
            return f"no measure with a threshold applies to {self.feature}"
        return f"{self.worst_measure} of {self.feature} is {value:.3g}, threshold {self.threshold:g}"


class Findings(BaseModel):
    """The decision about a window; ``features`` has the worst first and is empty where data are lacking."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    severity: Severity
    features: list[FeatureFinding]
    reason: str


def check_window(baseline: Baseline, counts: pl.DataFrame, rows: int, config: DriftConfig) -> Findings:
    """Compare a window with its baseline.

    Parameters
    ----------
    counts
        The merged profile of the window, made on this baseline.
    rows
        Rows in the window.

    Raises
    ------
    FlywheelError
        The profile was made on another baseline.
    """
    short = _shortage(baseline, rows, config)
    if short:
        return _not_enough(short)
    found = counts_by_feature(counts, baseline)
    chosen = [feature for feature in baseline.measured if _is_chosen(feature, config)]
    comparisons = {feature: Comparison(baseline.features[feature.name], found[feature.name]) for feature in chosen}
    findings = [_judge(feature, measure_all(compared), config) for feature, compared in comparisons.items()]
    absent = [name for name in config.features or [] if name not in baseline.features]
    return _decide(sorted(findings, key=lambda finding: -(finding.ratio or 0)), absent)


def _shortage(baseline: Baseline, rows: int, config: DriftConfig) -> str | None:
    if rows < config.min_rows:
        return f"{rows:,} rows in the window; a check needs {config.min_rows:,}"
    if baseline.rows < config.min_rows:
        return f"{baseline.rows:,} rows in baseline {baseline.id}; a check needs {config.min_rows:,}"
    return None


def _is_chosen(feature: Measured, config: DriftConfig) -> bool:
    return feature.is_prediction or config.features is None or feature.name in config.features


def _judge(feature: Measured, measures: dict[str, float | None], config: DriftConfig) -> FeatureFinding:
    ratios = {
        name: value / threshold
        for name, threshold in config.thresholds.items()
        if (value := measures[name]) is not None
    }
    finding = FeatureFinding(feature=feature.name, kind=feature.kind, measures=measures)
    if not ratios:
        return finding
    name = max(config.thresholds.keys() & ratios.keys(), key=lambda name: (ratios[name], name))
    return finding.model_copy(
        update={
            "severity": severity_of(ratios[name]),
            "worst_measure": name,
            "threshold": config.thresholds[name],
            "ratio": ratios[name],
        }
    )


def _decide(findings: list[FeatureFinding], absent: list[str]) -> Findings:
    judged = [finding for finding in findings if finding.ratio is not None]
    unjudged = [finding.feature for finding in findings if finding.ratio is None] + absent
    note = f"; not judged, for want of values, a threshold or a baseline: {', '.join(unjudged)}" if unjudged else ""
    if not judged:
        return _not_enough(f"no feature could be judged{note}")
    drifted = sum(is_drift(finding.severity) for finding in judged)
    outcome: Outcome = "drift" if drifted else "no_drift"
    summary = f"{drifted} of {len(judged)} features drifted" if drifted else f"none of {len(judged)} features drifted"
    return Findings(
        outcome=outcome,
        severity=worst(finding.severity for finding in judged),
        features=findings,
        reason=f"{summary}; most: {judged[0]}{note}",
    )


def _not_enough(reason: str) -> Findings:
    return Findings(outcome="not_enough_data", severity="none", features=[], reason=reason)
