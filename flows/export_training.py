"""Publish a pipeline's labelled rows as Parquet, sampled and weighted as its manifest says."""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import PipelineName, logical_time
from tasks.connect import connect
from tasks.export import find_parts, publish_parts, select_part
from tasks.retrain import export_training as export
from tasks.runner import ShardRunner, each_shard
from tasks.summary import publish_summary


class ExportSummary(BaseModel):
    """What was exported; ``rows`` is 0 when nothing is labelled yet."""

    pipeline: str
    export_id: str
    rows: int = 0
    represents: float = 0.0
    files: int = 0


@flow(name="export-training", flow_run_name="export training data {pipeline}", task_runner=ShardRunner())
def export_training(pipeline: PipelineName, as_of: datetime | None = None) -> ExportSummary:
    """Export the labelled predictions of a pipeline; a large log by dates, on several processes.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only labels that had arrived by then are exported. Default: now.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    export_id = f"{pipeline}.{when:%Y%m%dT%H%M%SZ}"
    parts = find_parts(context, export_id, when)
    for _ in each_shard(select_part, parts, context.name):
        continue
    found = publish_parts(context, parts) if parts else export(context, export_id, when)
    summary = ExportSummary(pipeline=pipeline, export_id=export_id)
    if found is not None:
        summary = ExportSummary(
            pipeline=pipeline, export_id=export_id, rows=found.rows, represents=found.weight, files=len(found.files)
        )
    publish_summary(context, "export-training", summary)
    return summary
