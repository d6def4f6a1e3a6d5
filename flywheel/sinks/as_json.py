"""Prediction rows as JSON text, one a row."""

from __future__ import annotations

import polars as pl
import polars.selectors as cs

from flywheel.records.text import ISO_TIME

PASSED_THROUGH = "passthrough"


def rows_as_json(rows: pl.DataFrame) -> pl.Series:
    """Return each row as a JSON object; times are ISO 8601 in UTC.

    A row that the ``passthrough`` fallback let through has no prediction field; any other missing prediction is null.

    >>> frame = pl.DataFrame({"prediction_id": ["a", "b"], "status": ["passthrough", "return_null"],
    ...                       "prediction": pl.Series([None, None], dtype=pl.Struct({"score": pl.Float64}))})
    >>> rows_as_json(frame).to_list()
    ['{"prediction_id":"a","status":"passthrough"}', '{"prediction_id":"b","status":"return_null","prediction":null}']
    """
    written = rows.with_columns(cs.datetime().dt.strftime(ISO_TIME))
    texts = _encode(written, rows.columns)
    if "status" not in rows.columns or not (rows["status"] == PASSED_THROUGH).any():
        return texts
    without = _encode(written, [name for name in rows.columns if not isinstance(rows.schema[name], pl.Struct)])
    return without.zip_with((rows["status"] == PASSED_THROUGH).fill_null(False), texts)


def _encode(rows: pl.DataFrame, names: list[str]) -> pl.Series:
    return rows.select(pl.struct(names).struct.json_encode().alias("json")).to_series()
