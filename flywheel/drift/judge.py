"""How bad the change of one feature is, as a whole or in a slice: its measures, its evidence, its severity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flywheel.drift.compared import Subject
from flywheel.drift.family import Evidence
from flywheel.drift.finding import FeatureFinding
from flywheel.drift.measures import correct_all, measure_all
from flywheel.drift.severity import Severity, is_drift, severity_of, severity_of_change
from flywheel.manifest.drift import DriftConfig

# Of each feature; in how many more it is significant says little where they overlap.
MOST_SLICES = 3
# Of a change that the whole shows as well: how many times as large it must be in a slice to be said of that.
STRONGER = 1.5


def judge(subject: Subject, evidence: Evidence, config: DriftConfig, alpha: float) -> FeatureFinding:
    """Measure a subject and say how bad its change is."""
    finding = _measured(subject, evidence, config, alpha)
    severity = _severity(finding, config) if finding.slice is None else _severity_in_slice(finding, config)
    return finding.model_copy(update={"severity": severity})


def strongest(slices: Iterable[FeatureFinding], whole: Sequence[FeatureFinding]) -> list[FeatureFinding]:
    """The slices to report, three of a feature at most.

    Where the whole has drifted those in which the feature changed by far more, the largest change first, else those in
    which it is surest that it did.
    """
    drifted = {finding.feature: finding.size for finding in whole if is_drift(finding.severity)}
    by_feature: dict[str, list[FeatureFinding]] = {}
    for finding in slices:
        if finding.size >= STRONGER * drifted.get(finding.feature, 0.0):
            by_feature.setdefault(finding.feature, []).append(finding)
    found = []
    for feature, findings in by_feature.items():
        ordered = sorted(findings, key=lambda each: (0 if feature in drifted else each.adjusted_p or 0, -each.size))
        found += ordered[:MOST_SLICES]
    return found


def _measured(subject: Subject, evidence: Evidence, config: DriftConfig, alpha: float) -> FeatureFinding:
    measures = measure_all(subject.comparison)
    finding = FeatureFinding(
        feature=subject.feature.name,
        kind=subject.feature.kind,
        slice=subject.slice,
        share=subject.share,
        seasonal=subject.seasonal,
        measures=measures,
        corrected=correct_all(measures, subject.comparison),
        p_values=evidence.p_values,
        question=evidence.question,
        adjusted_p=evidence.adjusted_p,
        significant=evidence.adjusted_p is not None and evidence.adjusted_p <= alpha,
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


def _severity(finding: FeatureFinding, config: DriftConfig) -> Severity:
    """By thresholds where there are any, else by the size of a change that is sure."""
    if config.thresholds is None:
        return severity_of_change(finding.size, is_sure=finding.significant)
    severity = severity_of(finding.ratio or 0.0)
    return "low" if is_drift(severity) and config.budget_decides and not finding.significant else severity


def _severity_in_slice(finding: FeatureFinding, config: DriftConfig) -> Severity:
    """By the size of a change that is sure, spread over all of the rows: what it is to the pipeline.

    Thresholds alone can't tell noise from drift in a slice's few rows, so there too the budget decides on slices.
    """
    both_decide = config.thresholds is not None and config.false_alarms is not None
    is_sure = finding.significant and not (both_decide and (finding.ratio or 0.0) < 1)
    return severity_of_change(finding.size * finding.share, is_sure=is_sure)
