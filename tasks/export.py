"""The steps of ``flows/export_training.py``, beside the one that it shares with ``flows/retrain.py``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tasks.connect import connect
from tasks.step import step

if TYPE_CHECKING:
    from flywheel.context import PipelineContext
    from flywheel.export.manifest import ExportManifest
    from flywheel.retraining.export_parts import ExportPart


@step("find parts", retries=2)
def find_parts(context: PipelineContext, key: str, as_of: datetime) -> list[ExportPart]:
    """Find the parts of an export that is large for one process; none of one that is not."""
    from flywheel.retraining import export_parts

    return export_parts.find_parts(context, key, as_of)


@step("select rows", retries=2)
def select_part(part: ExportPart, pipeline: str) -> int:
    """Select and store the rows of a part; return how many there are."""
    from flywheel.retraining import export_parts

    return export_parts.select_part(connect(pipeline).at_revision(part.revision), part)


@step("publish parts")
def publish_parts(context: PipelineContext, parts: Sequence[ExportPart]) -> ExportManifest | None:
    """Publish what was selected through the data-quality gate; None when there is nothing."""
    from flywheel.retraining import export_parts

    return export_parts.publish_parts(context, list(parts))
