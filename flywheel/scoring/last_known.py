"""The last predictions that a model gave, for the fallback ``use_last_known``."""

from __future__ import annotations

import polars as pl

from flywheel.context import PipelineContext
from flywheel.lake.duck import connect, query

_PARTITIONS = 7


def last_predictions(context: PipelineContext, number: int) -> pl.DataFrame | None:
    """Return the newest own prediction of the model before batch ``number``, per entity.

    Columns are ``entity`` (null where the pipeline names no ``entity_key``) and the output field. Only the newest seven
    days that have predictions are looked at. None when the manifest's fallback does not need them.
    """
    inference = context.pipeline.inference
    if inference.fallback != "use_last_known":
        return None
    table = context.tables.predictions
    dates = table.dates()[-_PARTITIONS:]
    files = table.files(dates=(dates[0], dates[-1])) if dates else []
    entity = pl.col("entity") if inference.entity_key else pl.lit(None, pl.String).alias("entity")
    wanted = ["prediction_id", "event_time", "batch_id", "status", inference.output_field]
    rows = table.read(files, [*wanted, "entity"] if inference.entity_key else wanted)
    with connect() as connection:
        connection.register(
            "predictions", rows.with_columns(entity).rename({inference.output_field: "prediction"}).to_arrow()
        )
        found = query(connection, "select_last_predictions", {"batch": number})
    return found.rename({"prediction": inference.output_field})
