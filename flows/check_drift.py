"""Compare the newest window of predictions with the baseline, and act on what that says."""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import PipelineName, logical_time
from tasks.connect import connect
from tasks.drift import announce_drift, decide
from tasks.reports import publish_drift


class DriftSummary(BaseModel):
    """What a drift check came to; ``check_id`` is what a retrain is keyed by."""

    pipeline: str
    check_id: str
    outcome: str
    severity: str
    action: str
    reason: str


@flow(name="check-drift", flow_run_name="check drift {pipeline}")
def check_drift(pipeline: PipelineName, as_of: datetime | None = None) -> DriftSummary:
    """Check a pipeline's newest window for drift, store the decision, and announce it.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only predictions made by then are seen. Default: now.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    decision = decide(context, when)
    publish_drift(decision)
    announce_drift(decision)
    return DriftSummary(
        pipeline=pipeline,
        check_id=decision.check_id,
        outcome=decision.findings.outcome,
        severity=decision.severity,
        action=decision.action,
        reason=decision.reason,
    )
