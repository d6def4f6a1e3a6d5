"""What training rows must look like: the manifest's own promises, no more.

Kept few on purpose, since each costs time in every retrain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl

from flywheel.export.bounds import logged_bounds
from flywheel.manifest.features import Feature
from flywheel.manifest.pipeline import Pipeline


@dataclass(frozen=True)
class Check:
    """One promise about a column, or about the table where ``column`` is empty.

    >>> print(Check("in_set", "label", values=("late", "on_time")))
    label is one of 'late', 'on_time'
    >>> print(Check("between", "confidence", low=0, high=1, open_low=True))
    confidence is above 0 and at most 1
    """

    kind: Literal["row_count", "not_null", "unique", "in_set", "between"]
    column: str = ""
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    open_low: bool = False

    def __str__(self) -> str:
        if self.kind == "row_count":
            return f"the export has at least {self.low} rows"
        if self.kind == "in_set":
            return f"{self.column} is one of {', '.join(map(repr, self.values))}"
        if self.kind == "between":
            return f"{self.column} is {' and '.join(self._limits())}"
        return f"{self.column} is {'unique' if self.kind == 'unique' else 'never missing'}"

    def _limits(self) -> Iterator[str]:
        if self.low is not None:
            yield f"{'above' if self.open_low else 'at least'} {self.low:g}"
        if self.high is not None:
            yield f"at most {self.high:g}"


def checks_of(pipeline: Pipeline) -> list[Check]:
    """Return what holds for the rows of every sound export of ``pipeline``."""
    return [
        Check("row_count", low=pipeline.export.min_rows if pipeline.export else 1),
        Check("not_null", "prediction_id"),
        Check("unique", "prediction_id"),
        Check("not_null", "event_time"),
        Check("not_null", "label"),
        *_label_set(pipeline),
        Check("not_null", "confidence"),
        Check("between", "confidence", low=0, high=1, open_low=True),
        Check("not_null", "weight"),
        Check("between", "weight", low=1),
        *(check for feature in pipeline.features for check in _of_feature(feature)),
    ]


def checked_columns(rows: pl.DataFrame, pipeline: Pipeline) -> pl.DataFrame:
    """Return the columns that the checks look at; a regression's label as the finite number it must be."""
    names = [feature.name for feature in pipeline.features]
    label = pl.col("label")
    if _is_regression(pipeline):
        number = label.cast(pl.Float64, strict=False)
        label = pl.when(number.is_finite()).then(number).alias("label")
    return rows.select("prediction_id", "event_time", label, "confidence", "weight", *names)


def known_labels(pipeline: Pipeline) -> tuple[str, ...] | None:
    """Return every label that the manifest's rules can give, or None where events carry labels of their own."""
    rules = pipeline.feedback.labels if pipeline.feedback else []
    if not rules or any(rule.label_field is not None for rule in rules):
        return None
    return tuple(sorted({rule.label_text for rule in rules if rule.label_text is not None}))


def _label_set(pipeline: Pipeline) -> Iterator[Check]:
    labels = known_labels(pipeline)
    if labels is not None and not _is_regression(pipeline):
        yield Check("in_set", "label", values=labels)


def _of_feature(feature: Feature) -> Iterator[Check]:
    if not feature.nullable:
        yield Check("not_null", feature.name)
    if feature.type == "category":
        if feature.categories is not None and feature.on_unknown == "quarantine":
            yield Check("in_set", feature.name, values=tuple(feature.categories))
        return
    low, high = logged_bounds(feature)
    if low is not None or high is not None:
        yield Check("between", feature.name, low=low, high=high)


def _is_regression(pipeline: Pipeline) -> bool:
    return pipeline.training is not None and pipeline.training.task == "regression"
