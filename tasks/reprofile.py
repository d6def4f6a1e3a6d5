"""The steps of ``flows/reprofile.py``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tasks.connect import connect
from tasks.step import step

if TYPE_CHECKING:
    from flywheel.context import PipelineContext
    from flywheel.monitoring.reprofile import Reprofiled, Unprofiled


@step("find batches to profile", retries=2)
def find_unprofiled(context: PipelineContext, as_of: datetime, span: timedelta) -> list[Unprofiled]:
    """Find the batches that the champion's baseline has no profile of."""
    from flywheel.monitoring import reprofile

    return reprofile.find_unprofiled(context, as_of, span)


@step("profile again", retries=2)
def profile_again(batches: Unprofiled, pipeline: str) -> Reprofiled:
    """Profile these batches on the champion's baseline, exactly once."""
    from flywheel.monitoring import reprofile

    return reprofile.reprofile(connect(pipeline), batches)
