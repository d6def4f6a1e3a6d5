"""Alerts: checks with drift, one after the other, are one thing to tell, until it is over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from flywheel.drift.check import Outcome
from flywheel.drift.severity import SEVERITIES, Severity, worst

Notice = Literal["none", "opened", "worsened", "ongoing", "resolved"]


@dataclass(frozen=True, slots=True)
class Alert:
    """A run of checks that found drift.

    Attributes
    ----------
    id
        The check that opened it.
    severity
        The worst so far.
    checks
        How many found drift.
    clean
        How many since the last of them found none.
    resolved_at
        The logical time of the check that ended it; None while it is open.
    """

    id: str
    opened_at: datetime
    severity: Severity
    checks: int = 1
    clean: int = 0
    resolved_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class Checked:
    """What an alert takes from a check."""

    check_id: str
    as_of: datetime
    outcome: Outcome
    severity: Severity


def follow(alert: Alert | None, check: Checked, clear_after: int) -> tuple[Alert | None, Notice]:
    """Return the alert after a check, and what there is to tell.

    Parameters
    ----------
    alert
        The one that is open, or None.
    clear_after
        So many checks in a row without drift end it. A check that lacked data says neither.

    Examples
    --------
    >>> from datetime import UTC
    >>> monday = datetime(2026, 11, 16, tzinfo=UTC)
    >>> alert, notice = follow(None, Checked("c1", monday, "drift", "medium"), 1)
    >>> notice, follow(alert, Checked("c2", monday, "drift", "medium"), 1)[1]
    ('opened', 'ongoing')
    >>> follow(alert, Checked("c2", monday, "no_drift", "none"), 1)[1]
    'resolved'
    """
    if check.outcome == "drift":
        return _found(alert, check)
    if alert is None or check.outcome == "not_enough_data":
        return alert, "none"
    alert = replace(alert, clean=alert.clean + 1)
    if alert.clean < clear_after:
        return alert, "none"
    return replace(alert, resolved_at=check.as_of), "resolved"


def _found(alert: Alert | None, check: Checked) -> tuple[Alert, Notice]:
    if alert is None:
        return Alert(check.check_id, check.as_of, check.severity), "opened"
    is_worse = SEVERITIES.index(check.severity) > SEVERITIES.index(alert.severity)
    severity = worst((alert.severity, check.severity))
    again = replace(alert, severity=severity, checks=alert.checks + 1, clean=0)
    return again, "worsened" if is_worse else "ongoing"
