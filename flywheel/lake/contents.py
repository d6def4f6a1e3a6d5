"""What the log of a table knows of each file, so that a reader opens those alone that can have what it wants."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from flywheel.lake.delta import open_table
from flywheel.lake.tables import UTC_TIME, LakeTable
from flywheel.lake.trouble import reaching

CONTENTS = pl.Schema(
    {
        "uri": pl.String(),
        "date": pl.Date(),
        "first_event": UTC_TIME,
        "last_event": UTC_TIME,
        "first_batch": pl.Int64(),
        "last_batch": pl.Int64(),
    }
)
_STATISTICS = {
    "first_event": ("min.event_time", UTC_TIME),
    "last_event": ("max.event_time", UTC_TIME),
    "first_batch": ("min.batch_id", pl.Int64()),
    "last_batch": ("max.batch_id", pl.Int64()),
}
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
# The log has times in whole milliseconds, cut off.
_CUT_OFF = timedelta(milliseconds=1)
_NO_BATCH, _ANY_BATCH = -(2**63), 2**63 - 1


def file_contents(table: LakeTable) -> pl.DataFrame:
    """Return the files of the newest version of a table that is partitioned by the date of ``event_time``.

    Returns
    -------
    polars.DataFrame
        ``uri``, ``date`` (the partition), ``first_event`` and ``last_event``, ``first_batch`` and ``last_batch``: what
        its rows lie between. Where the log does not say, as of a compacted file, that is the whole day, or any batch.
    """
    opened = open_table(table.location)
    if opened is None:
        return pl.DataFrame(schema=CONTENTS)
    with reaching(table.location):
        files = pl.DataFrame(opened.get_add_actions(flatten=True))
    known = {
        name: pl.col(column).cast(dtype) if column in files.columns else pl.lit(None, dtype)
        for name, (column, dtype) in _STATISTICS.items()
    }
    day = pl.col("date").cast(UTC_TIME)
    return (
        files.select(uri=pl.lit(f"{table.location.uri}/") + pl.col("path"), date="partition.date", **known)
        .cast(dict(CONTENTS))  # type: ignore[arg-type]
        .with_columns(
            pl.col("first_event").fill_null(day),
            (pl.col("last_event") + _CUT_OFF).fill_null(day + _DAY - _MICROSECOND),
            pl.col("first_batch").fill_null(_NO_BATCH),
            pl.col("last_batch").fill_null(_ANY_BATCH),
        )
    )
