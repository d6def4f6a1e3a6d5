"""The steps of ``flows/rescore.py``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.errors import InferenceError
from tasks.connect import connect
from tasks.score import open_model
from tasks.step import step

if TYPE_CHECKING:
    from flywheel.context import PipelineContext
    from flywheel.rescoring.rescore import Rescored
    from flywheel.rescoring.waiting import WaitingBatches


@step("find fallbacks", retries=2)
def find_waiting(context: PipelineContext, as_of: datetime) -> list[WaitingBatches]:
    """Find the batches with rows that a fallback answered and that nobody has scored since."""
    from flywheel.rescoring import waiting

    return waiting.find_waiting(context, as_of)


@step("score again", retries=2)
def rescore_batches(batches: WaitingBatches, pipeline: str, as_of: datetime) -> Rescored:
    """Ask the model for these batches' rows, and append what it says, exactly once."""
    from flywheel.rescoring import rescore

    context = connect(pipeline)
    with open_model(context) as client:
        return rescore.rescore(context, batches, client, as_of)


def raise_unanswered(context: PipelineContext, batches: Sequence[WaitingBatches], results: Sequence[Rescored]) -> None:
    """Fail the run if the model server is still in trouble; a few rows without an answer among others are counted."""
    rescored, failed = sum(each.rescored for each in results), sum(each.failed for each in results)
    if not failed or (rescored and not any(each.is_down for each in results)):
        return
    reasons = list(dict.fromkeys(reason for each in results for reason in each.failures))
    waiting = sum(each.rows for each in batches)
    raise InferenceError(
        f"{context.pipeline.inference.model_id} at {context.pipeline.inference.model_endpoint} still gives no "
        f"prediction: {'; '.join(reasons)}",
        state=f"{rescored} of {waiting} rows are in the table rescored; the others wait, and what was served stays",
        next_step=f"start the model server (flywheel serve-models), then: flywheel run rescore -p {context.name}",
    )
