"""Keep a pipeline's lake quick and small: delete what nobody needs, expire old rows, compact small files."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import PipelineName, logical_time
from flywheel.maintenance.retention import tables_of
from tasks.connect import connect
from tasks.maintain import (
    compact_files,
    decide_retention,
    delete_files,
    delete_leftovers,
    expire_checks,
    expire_rows,
)
from tasks.summary import publish_summary


class MaintainSummary(BaseModel):
    """What a run of ``maintain`` did, over all tables; ``leftovers`` are files that killed runs left beside them."""

    pipeline: str
    rows_expired: int = 0
    checks_expired: int = 0
    files_before: int = 0
    files_after: int = 0
    files_deleted: int = 0
    leftovers_deleted: int = 0
    bytes_freed: int = 0


@flow(name="maintain", flow_run_name="maintain {pipeline}")
def maintain(pipeline: PipelineName, as_of: datetime | None = None) -> MaintainSummary:
    """Maintain a pipeline's tables and files; the other flows may run at the same time.

    Args:
        pipeline: The pipeline's name.
        as_of: Count retention back from this time, if the pipeline has come that far. Default: now.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    totals: Counter[str] = Counter()
    # What makes room comes first, since all else needs some.
    totals.update(delete_leftovers(context))
    for table in tables_of(context):
        totals.update(delete_files(context, table))
    totals.update(expire_checks(context, when))
    first = decide_retention(context, when)
    for table in tables_of(context):
        totals.update(expire_rows(context, table, first.get(table)))
        totals.update(compact_files(context, table))
    summary = MaintainSummary(pipeline=pipeline, **totals)
    publish_summary(context, "maintain", summary)
    return summary
