"""Which labelled rows an export keeps, found out before any row is joined that it will not keep.

A row's class needs its label, but most rows go whatever their label is: all whose ``sample_key`` is above the limit of
the negatives, unless some label calls them positive. What is left is read, joined to its labels, and judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flywheel.export.rates import Rates, key_limit
from flywheel.feedback.winning import pick_winners
from flywheel.records.sample_key import sample_keys

# The column of the predictions that hard negatives are told by; a name that no feature can have.
SCORE = "sampling score"
_ROW = "row of the sample"
_EVERY_KEY = 2**63 - 1
_key = pl.col("sample_key")


@dataclass(frozen=True)
class Classes:
    """Positive, hard and other rows: the share of each that is kept, and the greatest key that stands for it."""

    rates: Rates
    positive_label: str | None
    positive_limit: int
    negative_limit: int

    @classmethod
    def of(cls, rates: Rates, positive_label: str | None) -> Classes:
        return cls(rates, positive_label, key_limit(rates.positive), key_limit(rates.negative))

    @property
    def keeps_all(self) -> bool:
        return min(self.positive_limit, self.negative_limit) == _EVERY_KEY

    def weigh(self, labelled: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that are kept, each with its ``weight``."""
        is_positive = pl.lit(value=False)
        if self.positive_label is not None:
            is_positive = pl.col("label") == self.positive_label
        is_hard = self._is_hard() & ~is_positive
        limit = pl.when(is_positive).then(self.positive_limit).otherwise(self.negative_limit)
        rate = pl.when(is_positive).then(self.rates.positive).when(is_hard).then(1.0).otherwise(self.rates.negative)
        return labelled.filter(is_hard | (_key <= limit)).with_columns(weight=1 / rate)

    def candidates(self, logged: pl.LazyFrame, stated: pl.LazyFrame) -> pl.LazyFrame:
        """Return the predictions that may be kept, whatever their winning label is."""
        if self.keeps_all:
            return logged
        may_be_kept = (_key <= self.negative_limit) | self._is_hard()
        if self.positive_label is not None and self.positive_limit > self.negative_limit:
            called = stated.filter(pl.col("label") == self.positive_label).select("prediction_id")
            keys = sample_keys(called.collect(engine="streaming")["prediction_id"])
            may_be_kept |= (_key <= self.positive_limit) & _key.is_in(keys.implode())
        return logged.filter(may_be_kept)

    def _is_hard(self) -> pl.Expr:
        return (pl.col(SCORE) > self.rates.hard_threshold).fill_null(value=False)


def sample_by_class(logged: pl.LazyFrame, stated: pl.LazyFrame, classes: Classes) -> pl.DataFrame:
    """Return the labelled predictions, each kept by its own key at the rate of its class, with label and weight."""
    rows = classes.candidates(logged, stated).collect(engine="streaming")
    return classes.weigh(_with_labels(rows, stated)).drop(SCORE)


def sample_reservoir(logged: pl.LazyFrame, stated: pl.LazyFrame, size: int) -> pl.DataFrame:
    """Return the ``size`` labelled predictions with the smallest keys, each weighing labelled / kept.

    That is a uniform sample without replacement, of ids: a prediction that was logged twice counts once.
    """
    ids = logged.select("prediction_id", "sample_key").join(stated, on="prediction_id", how="semi").unique()
    labelled = ids.collect(engine="streaming")
    kept = labelled.sort("sample_key", "prediction_id").head(size)
    near = logged.filter(_key <= kept["sample_key"].max()) if kept.height else logged.head(0)
    rows = near.join(kept.lazy(), on="prediction_id", how="semi").collect(engine="streaming")
    weight = labelled.height / max(kept.height, 1)
    return _with_labels(rows, stated).with_columns(weight=pl.lit(weight)).drop(SCORE)


def _with_labels(rows: pl.DataFrame, stated: pl.LazyFrame) -> pl.DataFrame:
    """Add to each prediction its winning label; drop those without one.

    Ids are compared once: from there on a prediction is the number of its row.
    """
    numbered = rows.select("prediction_id").with_row_index(_ROW)
    columns = [_ROW, "label", "confidence", "event", "event_time", "received_at"]
    said = stated.join(numbered.lazy(), on="prediction_id", how="inner").select(columns).collect(engine="streaming")
    won = pick_winners(said, _ROW)
    return rows[won[_ROW]].hstack(won.select("label", "confidence", "event"))
