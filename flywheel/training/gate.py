"""Decides whether a candidate may replace the champion."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flywheel.manifest.training import Gate
from flywheel.training.evaluate import Evaluation

HIGHER_IS_BETTER = frozenset({"auc", "accuracy", "average_precision"})


@dataclass(frozen=True)
class GateDecision:
    """Whether the candidate passed, and why.

    Attributes
    ----------
    gain
        By how much it is better than the champion in the gate's metric, negative when worse; None without a champion.
    """

    passed: bool
    reason: str
    gain: float | None = None


def decide(candidate: Evaluation, champion: Evaluation | None, gate: Gate) -> GateDecision:
    """Compare two evaluations on the same rows; the first model of a pipeline has nothing to beat.

    >>> decide(Evaluation(100, {"log_loss": 0.39}), Evaluation(100, {"log_loss": 0.41}), Gate(metric="log_loss"))
    GateDecision(passed=True, reason='log_loss 0.3900 against 0.4100 on 100 rows: better by 0.0200', gain=0.02)
    """
    if champion is None:
        return GateDecision(True, f"there is no champion to beat ({_figures(candidate)})")
    ours, theirs = candidate.metrics.get(gate.metric, math.nan), champion.metrics.get(gate.metric, math.nan)
    gain = round(ours - theirs if gate.metric in HIGHER_IS_BETTER else theirs - ours, 12)
    compared = f"{gate.metric} {ours:.4f} against {theirs:.4f} on {candidate.rows} rows"
    if math.isnan(gain):
        return GateDecision(False, f"{compared}: {gate.metric} can't be measured on these rows")
    direction = f"better by {gain:.4f}" if gain >= 0 else f"worse by {-gain:.4f}"
    if gain >= gate.min_gain:
        return GateDecision(True, f"{compared}: {direction}", gain)
    return GateDecision(False, f"{compared}: {direction}; the gate wants {gate.min_gain:g}", gain)


def _figures(evaluation: Evaluation) -> str:
    figures = ", ".join(f"{name} {value:.4f}" for name, value in sorted(evaluation.metrics.items()))
    return f"{figures} on {evaluation.rows} rows" if figures else "no labels to measure it on"
