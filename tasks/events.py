"""The events that Flywheel emits, and their names. An event is a hint: what it tells is stored before it is emitted."""

from __future__ import annotations

from prefect.events import emit_event
from prefect.logging import get_logger

DRIFT_DETECTED = "flywheel.drift.detected"
DRIFT_RESOLVED = "flywheel.drift.resolved"
MODEL_PROMOTED = "flywheel.model.promoted"
MODEL_REJECTED = "flywheel.model.rejected"
REVIEW_REQUESTED = "flywheel.review.requested"
ACTION_LABEL = "flywheel.action"


def resource_id(pipeline: str) -> str:
    """Return the id of a pipeline in Prefect's events.

    >>> resource_id("flight-delays")
    'flywheel.pipeline.flight-delays'
    """
    return f"flywheel.pipeline.{pipeline}"


def emit(event: str, pipeline: str, payload: dict[str, str | int | float | None], action: str = "none") -> None:
    """Emit an event about a pipeline; ``action`` is a label of the resource, which automations can match on.

    An event that can't be emitted is logged and lost: what it tells is stored, and ``reconcile`` looks for it there.
    """
    resource = {
        "prefect.resource.id": resource_id(pipeline),
        "prefect.resource.name": pipeline,
        ACTION_LABEL: action,
    }
    try:
        emit_event(event, resource=resource, payload={"pipeline": pipeline, **payload})
    except Exception as error:
        get_logger("flywheel.events").warning("%s of %s was not emitted: %s", event, pipeline, error)
