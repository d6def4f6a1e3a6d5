"""The check of one window against the baseline: what each measure says, how sure that is, and the decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from flywheel.drift.baseline import Baseline
from flywheel.drift.evidence.false_discovery import adjusted
from flywheel.drift.evidence.hypotheses import Answers, answer_all
from flywheel.drift.finding import FeatureFinding
from flywheel.drift.measured import Measured
from flywheel.drift.measures import correct_all, measure_all
from flywheel.drift.measures.comparison import Comparison
from flywheel.drift.profile import counts_by_feature
from flywheel.drift.severity import Severity, is_drift, severity_of, severity_of_change, worst
from flywheel.manifest.drift import DriftConfig

Outcome = Literal["drift", "no_drift", "not_enough_data"]

# One day of the default budget, one false alarm in 30 days.
ONE_DAY = 1 / 30


class Findings(BaseModel):
    """The decision about a window; ``features`` has the worst first and is empty where data are lacking.

    ``alpha`` is the chance of a false alarm that the budget gave the check.
    """

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    severity: Severity
    features: list[FeatureFinding]
    reason: str
    alpha: float | None = None

    @property
    def is_over_budget(self) -> bool:
        """Whether the budget of false alarms calls it drift, whoever decides."""
        return any(finding.significant for finding in self.features)


def check_window(
    baseline: Baseline, counts: pl.DataFrame, rows: int, config: DriftConfig, alpha: float = ONE_DAY
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
    comparisons = [Comparison(baseline.features[feature.name], found[feature.name]) for feature in chosen]
    findings = [_measured(feature, compared, config) for feature, compared in zip(chosen, comparisons, strict=True)]
    findings = _weigh(findings, answer_all(comparisons), config, alpha)
    findings = sorted((_judged(finding, config) for finding in findings), key=lambda each: _rank(each, config))
    absent = [name for name in config.features or [] if name not in baseline.features]
    return _decide(findings, absent, config, alpha)


def _shortage(baseline: Baseline, rows: int, config: DriftConfig) -> str | None:
    if rows < config.fewest_rows:
        return f"{rows:,} rows in the window; a check needs {config.fewest_rows:,}"
    if baseline.rows < config.fewest_rows:
        return f"{baseline.rows:,} rows in baseline {baseline.id}; a check needs {config.fewest_rows:,}"
    return None


def _is_chosen(feature: Measured, config: DriftConfig) -> bool:
    return feature.is_prediction or config.features is None or feature.name in config.features


def _measured(feature: Measured, comparison: Comparison, config: DriftConfig) -> FeatureFinding:
    measures = measure_all(comparison)
    finding = FeatureFinding(
        feature=feature.name, kind=feature.kind, measures=measures, corrected=correct_all(measures, comparison)
    )
    ratios = {
        name: value / threshold
        for name, threshold in (config.thresholds or {}).items()
        if (value := measures[name]) is not None
    }
    if config.thresholds is None or not ratios:
        return finding
    name = max(config.thresholds.keys() & ratios.keys(), key=lambda name: (ratios[name], name))
    return finding.model_copy(
        update={"worst_measure": name, "threshold": config.thresholds[name], "ratio": ratios[name]}
    )


def _weigh(
    findings: Sequence[FeatureFinding], answers: Sequence[Answers], config: DriftConfig, alpha: float
) -> list[FeatureFinding]:
    """Adjust the p-values for one another: all questions of all features are one family."""
    weights = [config.importance.get(finding.feature, 1.0) for finding in findings]
    p_values = [p for asked in answers for p in asked.values()]
    family = [weight for asked, weight in zip(answers, weights, strict=True) for _ in asked]
    together = iter(adjusted(np.array(p_values), np.array(family)).tolist())
    weighed = []
    for finding, asked in zip(findings, answers, strict=True):
        own = {question: next(together) for question in asked}
        question = min(asked, key=lambda question: asked[question], default=None)
        smallest = own[question] if question else None
        weighed.append(
            finding.model_copy(
                update={
                    "p_values": asked,
                    "question": question,
                    "adjusted_p": smallest,
                    "significant": smallest is not None and smallest <= alpha,
                }
            )
        )
    return weighed


def _judged(finding: FeatureFinding, config: DriftConfig) -> FeatureFinding:
    """How bad it is: by thresholds where there are any, else by the size of a change that is sure."""
    if config.thresholds is None:
        severity = severity_of_change(finding.size, is_sure=finding.significant)
    else:
        severity = severity_of(finding.ratio or 0.0)
        if is_drift(severity) and config.budget_decides and not finding.significant:
            severity = "low"
    return finding.model_copy(update={"severity": severity})


def _rank(finding: FeatureFinding, config: DriftConfig) -> tuple[bool, float, float]:
    if not config.budget_decides:
        return False, -(finding.ratio or 0), 0
    smallest = 2.0 if finding.adjusted_p is None else finding.adjusted_p
    return not is_drift(finding.severity), smallest, -finding.size


def _is_judged(finding: FeatureFinding, config: DriftConfig) -> bool:
    return finding.measures["missing_rate"] is not None and (config.thresholds is None or finding.ratio is not None)


def _decide(findings: list[FeatureFinding], absent: list[str], config: DriftConfig, alpha: float) -> Findings:
    judged = [finding for finding in findings if _is_judged(finding, config)]
    unjudged = [finding.feature for finding in findings if not _is_judged(finding, config)] + absent
    note = f"; not judged, for want of values, a threshold or a baseline: {', '.join(unjudged)}" if unjudged else ""
    if not judged:
        return _not_enough(f"no feature could be judged{note}")
    drifted = sum(is_drift(finding.severity) for finding in judged)
    summary = f"{drifted} of {len(judged)} features drifted" if drifted else f"none of {len(judged)} features drifted"
    most = judged[0].by_evidence if config.thresholds is None else judged[0].by_threshold
    return Findings(
        outcome="drift" if drifted else "no_drift",
        severity=worst(finding.severity for finding in judged),
        features=findings,
        reason=f"{summary}; most: {most}; {_verdict(findings, config, alpha)}{note}",
        alpha=alpha,
    )


def _verdict(findings: Sequence[FeatureFinding], config: DriftConfig, alpha: float) -> str:
    """What the budget of false alarms says of the check, whoever decides."""
    smallest = min((finding.adjusted_p for finding in findings if finding.adjusted_p is not None), default=1.0)
    calls = any(finding.significant for finding in findings)
    if config.budget_decides:
        says = "calls this drift" if calls else "does not call this drift"
    else:
        says = "would have called this drift" if calls else "would not have called this drift"
    alarms = "false alarm" if config.budget.count == 1 else "false alarms"
    written = str(config.budget).replace(" per", f" {alarms} per")
    return f"the budget of {written} {says}: p = {smallest:.2g}, alpha = {alpha:.2g}"


def _not_enough(reason: str) -> Findings:
    return Findings(outcome="not_enough_data", severity="none", features=[], reason=reason)
