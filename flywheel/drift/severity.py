"""How bad a drift is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Severity = Literal["none", "low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = ("none", "low", "medium", "high", "critical")
_BELOW: tuple[tuple[float, Severity], ...] = ((0.4, "none"), (1, "low"), (2, "medium"), (4, "high"))
_RECOMMENDATIONS: dict[Severity, str] = {
    "none": "nothing to do",
    "low": "continue monitoring",
    "medium": "consider retraining",
    "high": "retrain within 24 h",
    "critical": "act now",
}


def severity_of(ratio: float) -> Severity:
    """The severity of a measure at ``ratio`` times its threshold; from medium on it is drift.

    >>> severity_of(0.1 / 0.25), severity_of(0.25 / 0.25), severity_of(1.0 / 0.25)
    ('low', 'medium', 'critical')
    """
    return next((severity for limit, severity in _BELOW if ratio < limit), "critical")


def severity_of_change(psi: float, *, is_sure: bool) -> Severity:
    """The severity of a change of this size (corrected PSI): the ladder 0.1, 0.25, 0.5, 1.0.

    The size alone says how bad it is; that it is sure makes it drift, so at least medium, and as long as it is not, it
    is low at most.

    >>> severity_of_change(0.02, is_sure=True), severity_of_change(0.6, is_sure=True)
    ('medium', 'high')
    >>> severity_of_change(0.02, is_sure=False), severity_of_change(0.6, is_sure=False)
    ('none', 'low')
    """
    by_size = SEVERITIES.index(severity_of(psi / 0.25))
    drift = SEVERITIES.index("medium")
    return SEVERITIES[max(by_size, drift) if is_sure else min(by_size, drift - 1)]


def worst(severities: Iterable[Severity]) -> Severity:
    """The worst of them; ``none`` of nothing."""
    return max(severities, key=SEVERITIES.index, default="none")


def is_drift(severity: Severity) -> bool:
    """Whether a severity is drift: a measure at or above its threshold, or a change that is sure."""
    return SEVERITIES.index(severity) >= SEVERITIES.index("medium")


def recommendation(severity: Severity) -> str:
    """What to do about it."""
    return _RECOMMENDATIONS[severity]
