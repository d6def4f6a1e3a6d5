"""The steps of ``flows/maintain.py``. Each counts what it did, by the names of the summary's figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from flywheel.context import PipelineContext
from flywheel.lake.trouble import reaching
from flywheel.maintenance import compact, expire, history, leftovers, retention, vacuum
from tasks.step import step


@step("decide what may go", retries=2)
def decide_retention(context: PipelineContext, as_of: datetime) -> Mapping[str, date]:
    """Return, for each table that rows may go from, the first date that stays."""
    return retention.first_dates(context, as_of)


@step("expire rows", retries=2)
def expire_rows(context: PipelineContext, table: str, first: date | None) -> dict[str, int]:
    """Remove the partitions before ``first``."""
    with reaching(retention.tables_of(context)[table].location):
        return {"rows_expired": expire.expire_rows(context, table, first) if first is not None else 0}


@step("expire drift checks", retries=2)
def expire_checks(context: PipelineContext, as_of: datetime) -> dict[str, int]:
    """Remove the drift checks that nothing depends on any more."""
    return {"checks_expired": history.expire_checks(context, as_of)}


@step("compact files", retries=2)
def compact_files(context: PipelineContext, table: str) -> dict[str, int]:
    """Make one file of each partition's small ones, and a checkpoint, behind which the log gets shorter."""
    location = retention.tables_of(context)[table].location
    done = compact.compact_table(context.storage, location)
    vacuum.shorten_log(location)
    return {"files_before": done.before, "files_after": done.after}


@step("delete files", retries=2)
def delete_files(context: PipelineContext, table: str) -> dict[str, int]:
    """Delete the files that no reader can need any more."""
    location = retention.tables_of(context)[table].location
    freed = vacuum.vacuum_table(context.storage, location, context.pipeline.spec.retention.grace)
    return {"files_deleted": freed.files, "bytes_freed": freed.bytes}


@step("delete leftovers", retries=2)
def delete_leftovers(context: PipelineContext) -> dict[str, int]:
    """Delete what killed runs left beside the tables."""
    freed = leftovers.remove_leftovers(context)
    return {"leftovers_deleted": freed.files, "bytes_freed": freed.bytes}
