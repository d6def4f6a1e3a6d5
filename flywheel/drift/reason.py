"""The reason of a check in words: what drifted, where most, and what the budget of false alarms says of it."""

from __future__ import annotations

from collections.abc import Sequence

from flywheel.drift.finding import FeatureFinding
from flywheel.drift.joint import JointFinding
from flywheel.drift.severity import is_drift
from flywheel.manifest.drift import DriftConfig


def summary(features: Sequence[FeatureFinding], joint: Sequence[JointFinding]) -> str:
    """How many features drifted, of those that could be judged; and what several showed together."""
    judged = len({finding.feature for finding in features})
    whole = {finding.feature for finding in features if finding.slice is None and is_drift(finding.severity)}
    drifted = {finding.feature for finding in features if is_drift(finding.severity)}
    sliced = f", {len(drifted - whole)} of them in slices only" if drifted - whole else ""
    together = "; ".join(each.by_evidence for each in joint if each.significant)
    if not together:
        return f"{len(drifted) or 'none'} of {judged} features drifted{sliced}"
    if not drifted:
        return f"none of {judged} features drifted by itself, together they did: {together}"
    return f"{len(drifted)} of {judged} features drifted{sliced}, together as well: {together}"


def most(features: Sequence[FeatureFinding], config: DriftConfig) -> str:
    """What the first finding says, and of one on the whole in which slices it is strongest."""
    first = features[0]
    told = first.by_evidence if config.thresholds is None or first.slice is not None else first.by_threshold
    if first.slice is not None or not is_drift(first.severity):
        return told
    slices = [each for each in features if each.slice is not None and each.feature == first.feature]
    where = " and ".join(f"{each.slice} (psi {each.size:.3g})" for each in slices[:2])
    return f"{told}, most where {where}" if where else told


def verdict(
    features: Sequence[FeatureFinding],
    joint: Sequence[JointFinding],
    smallest: float,
    config: DriftConfig,
    alpha: float,
) -> str:
    """What the budget of false alarms says of a check with this smallest adjusted p-value, whoever decides."""
    calls = smallest <= alpha
    # Of slices and of several features together it decides in any case.
    by_budget = [each.severity for each in features if each.slice is not None] + [each.severity for each in joint]
    if config.budget_decides or any(is_drift(severity) for severity in by_budget):
        says = "calls this drift" if calls else "does not call this drift"
    else:
        says = "would have called this drift" if calls else "would not have called this drift"
    alarms = "false alarm" if config.budget.count == 1 else "false alarms"
    written = str(config.budget).replace(" per", f" {alarms} per")
    return f"the budget of {written} {says}: p = {smallest:.2g}, alpha = {alpha:.2g}"


def not_asked(joint: Sequence[JointFinding]) -> list[str]:
    """What several features could not be asked together, and why."""
    return [f"not asked: {each.by_evidence}" for each in joint if each.p_value is None]
