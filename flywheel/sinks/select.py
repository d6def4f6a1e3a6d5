"""Which rows of a batch a sink gets."""

from __future__ import annotations

import polars as pl

from flywheel.manifest.cel import compile_cel
from flywheel.manifest.pipeline import SinkRef


def select_rows(rows: pl.DataFrame, ref: SinkRef, schema: pl.Schema) -> pl.DataFrame:
    """Return the rows for which the condition is true; where it can't be answered (a null prediction) it is not.

    Parameters
    ----------
    schema
        The columns that the condition may use: ``output_schema`` of the pipeline, or the rows' own.
    """
    if ref.condition is None:
        return rows
    return rows.filter(compile_cel(ref.condition, schema).fill_null(False))
