"""The steps of ``flows/check_drift.py``."""

from __future__ import annotations

from datetime import datetime

from flywheel.context import PipelineContext, at
from flywheel.drift.severity import recommendation
from flywheel.monitoring.decision import Decision, check_drift
from flywheel.monitoring.reconcile import unanswered_checks
from tasks.events import DRIFT_DETECTED, DRIFT_RESOLVED, emit
from tasks.step import step


@step("check drift", retries=2)
def decide(context: PipelineContext, as_of: datetime) -> Decision:
    """Check the newest window and store the decision."""
    return check_drift(context, as_of)


@step("announce drift")
def announce_drift(decision: Decision) -> None:
    """Emit the event that alerts and retrains are triggered by, or the one that says it is over; or none.

    A window that was decided before is announced again, since its first event may have been lost: whoever acts on it
    does so once per check id.
    """
    if decision.notice == "resolved":
        emit(
            DRIFT_RESOLVED,
            decision.pipeline,
            {"check_id": decision.check_id, "as_of": at(decision.as_of), "reason": decision.reason},
            action="resolved",
        )
    if decision.action == "none":
        return
    emit(
        DRIFT_DETECTED,
        decision.pipeline,
        {
            "check_id": decision.check_id,
            "as_of": at(decision.as_of),
            "severity": decision.severity,
            "action": decision.action,
            "reason": decision.reason,
            "harm": decision.harm.verdict if decision.harm else "unknown",
            "recommendation": recommendation(decision.severity),
        },
        action=decision.action,
    )


@step("find unanswered checks", retries=2)
def find_unanswered(context: PipelineContext, as_of: datetime) -> list[str]:
    """Return the drift checks whose retrain is not done."""
    return unanswered_checks(context, as_of)
