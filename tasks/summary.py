"""The artifact that every run leaves in the Prefect UI: what it did, in figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefect.artifacts import create_table_artifact

if TYPE_CHECKING:
    from pydantic import BaseModel

    from flywheel.context import PipelineContext
    from flywheel.scoring.deliver import SinkFailure


def publish_summary(
    context: PipelineContext, flow: str, summary: BaseModel, failures: Sequence[SinkFailure] = ()
) -> None:
    """Show what a run did, in figures."""
    rows = [{"what": name.replace("_", " "), "value": value} for name, value in summary.model_dump().items()]
    rows += [{"what": f"undelivered to {failure.sink}", "value": failure.error} for failure in failures]
    create_table_artifact(rows, key=f"{flow}-{context.name}", description=f"What {flow} did for {context.name}")
