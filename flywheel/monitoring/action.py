"""What is to be done about a check: whether it alarms, and what an alarm leads to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flywheel.context import at
from flywheel.drift.alerts import Checked, Notice
from flywheel.drift.check import Findings
from flywheel.drift.severity import Severity, worst
from flywheel.manifest.drift import DriftConfig
from flywheel.monitoring.harm import Harm

Action = Literal["none", "alert", "retrain", "fallback"]


@dataclass(frozen=True)
class Alarm:
    """Whether a check calls for action, how badly, and why (or why not)."""

    is_raised: bool
    severity: Severity
    reason: str


def alarm_of(findings: Findings, harm: Harm | None) -> Alarm:
    """Weigh drift against harm.

    A model that has decayed alarms whether or not a feature moved; drift that costs nothing is told and no more. Where
    harm is not looked at (None) or not known, drift alone decides.
    """
    is_drift = findings.outcome == "drift"
    if harm is None:
        return Alarm(is_drift, findings.severity, findings.reason)
    if harm.verdict == "harmful":
        return Alarm(True, worst((findings.severity, harm.severity)), f"{harm.reason}; {findings.reason}")
    return Alarm(is_drift and harm.verdict == "unknown", findings.severity, f"{findings.reason}; {harm.reason}")


def checked(check_id: str, as_of: datetime, findings: Findings, alarm: Alarm) -> Checked:
    """Return what an alert takes from a check: drift that does no harm is none to it."""
    outcome = findings.outcome if findings.outcome == "not_enough_data" else "no_drift"
    return Checked(check_id, as_of, "drift" if alarm.is_raised else outcome, alarm.severity)


def action_of(
    config: DriftConfig, alarm: Alarm, notice: Notice, last: datetime | None, as_of: datetime
) -> tuple[Action, str]:
    """Return the action and the reason.

    Parameters
    ----------
    notice
        What the alert came to: an alert that is open is told once, again when it worsens, and where there is a
        cooldown, again after it.
    last
        When there was an action last.
    """
    if not alarm.is_raised:
        return "none", alarm.reason
    if config.mode == "shadow":
        return "none", f"{alarm.reason}; mode shadow measures and never acts"
    if config.on_drift != "fallback" and last is not None and as_of < last + config.cooldown:
        return "none", f"{alarm.reason}; cooling down until {at(last + config.cooldown)}"
    if config.on_drift == "alert" and notice == "ongoing" and not config.cooldown:
        return "none", f"{alarm.reason}; told already, the alert is open"
    return config.on_drift, alarm.reason
