"""What drift is measured on: the model's input features and the prediction's own fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl
from polars._typing import PolarsDataType

from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import prediction_struct, record_schema

Kind = Literal["numeric", "category"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A column of the prediction log, or with a dot a field of a struct column (``prediction.score``).

    >>> Measured("prediction.score", "numeric").is_prediction
    True
    """

    name: str
    kind: Kind

    @property
    def is_prediction(self) -> bool:
        """Whether this is the model's own output; a feature's name has no dot."""
        return "." in self.name

    def is_in(self, schema: pl.Schema) -> bool:
        """Whether rows of this schema have it."""
        column, _, field = self.name.partition(".")
        dtype = schema.get(column)
        return _has(dtype, field) if field else dtype is not None

    def values(self, rows: pl.DataFrame) -> pl.Series:
        """The values as Float64 or String; all null where the rows do not have the column."""
        dtype = pl.Float64 if self.kind == "numeric" else pl.String
        column, _, field = self.name.partition(".")
        found: pl.Series | None = rows.get_column(column, default=None)
        if found is not None and field:
            found = found.struct.field(field) if _has(found.dtype, field) else None
        if found is None:
            return pl.repeat(None, rows.height, dtype=dtype, eager=True).alias(self.name)
        return found.cast(dtype).alias(self.name)


def measured_features(pipeline: Pipeline) -> list[Measured]:
    """What a pipeline's drift checks compare: ``drift.features`` (default: the model's inputs), then the prediction.

    The prediction's numeric fields (``score``, ``value``) and categories (``label``, ``is_anomaly``) are left out where
    the manifest does not say what the model answers.
    """
    chosen = pipeline.drift.features if pipeline.drift else None
    names = chosen or pipeline.inference.input_features
    schema = record_schema(pipeline)
    features = [Measured(name, _kind(schema[name])) for name in names]
    prediction = prediction_struct(pipeline)
    fields = prediction.fields if prediction else []
    output = pipeline.inference.output_field
    return features + [Measured(f"{output}.{field.name}", _kind(field.dtype)) for field in fields]


def sliced_by(pipeline: Pipeline) -> list[Measured]:
    """The features that a pipeline's drift checks slice by."""
    schema = record_schema(pipeline)
    names = pipeline.drift.slices if pipeline.drift else []
    return [Measured(name, _kind(schema[name])) for name in names]


def _has(dtype: PolarsDataType | None, field: str) -> bool:
    return isinstance(dtype, pl.Struct) and any(found.name == field for found in dtype.fields)


def _kind(dtype: PolarsDataType) -> Kind:
    return "numeric" if dtype.is_numeric() else "category"
