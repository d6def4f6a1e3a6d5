"""The rows that wait to be scored again: from the log, and the dead letters from the quarantine."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flywheel.context import PipelineContext
from flywheel.inference.fallback import OK
from flywheel.lake.tables import Newest
from flywheel.manifest.schema import record_schema
from flywheel.scoring.dead_letters import read_features

KEY = ["batch_id", "prediction_id"]
_DEAD_LETTER = "send_to_dlq"


def fallback_rows(context: PipelineContext, numbers: Sequence[int]) -> pl.DataFrame:
    """Return the rows of these batches that a fallback answered.

    Columns: ``prediction_id``, ``event_time``, ``batch_id``, ``status`` (its name) and the features, in an order that
    depends on the rows only. ``context`` is at the batches' revision.
    """
    rows = pl.concat([_logged(context, numbers), _dead_letters(context, numbers)])
    return rows.sort("batch_id", "event_time", "prediction_id")


def without_rescored(
    context: PipelineContext, rows: pl.DataFrame, numbers: Sequence[int], at: Newest
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows by the table ``rescored`` as it is ``at``: those it lacks, and the keys of those it has."""
    table = context.tables.rescored
    files = [] if at.version is None else table.files(at.version, batches=numbers)
    done = table.read(files, KEY).filter(pl.col("batch_id").is_in(numbers))
    return rows.join(done, on=KEY, how="anti", maintain_order="left"), done


def _logged(context: PipelineContext, numbers: Sequence[int]) -> pl.DataFrame:
    table, features = context.tables.predictions, record_schema(context.pipeline).names()
    rows = table.read(table.files(batches=numbers), ["prediction_id", "event_time", "batch_id", "status", *features])
    return rows.filter(pl.col("batch_id").is_in(numbers), pl.col("status") != OK)


def _dead_letters(context: PipelineContext, numbers: Sequence[int]) -> pl.DataFrame:
    table = context.tables.quarantine
    rows = table.read(table.files(batches=numbers), ["prediction_id", "event_time", "batch_id", "feed", "features"])
    dead = rows.filter(pl.col("batch_id").is_in(numbers), pl.col("feed") == "records", pl.col("features").is_not_null())
    known = dead.select("prediction_id", "event_time", "batch_id", status=pl.lit(_DEAD_LETTER))
    return pl.concat([known, read_features(dead["features"], context.pipeline)], how="horizontal")
