"""Which labelled rows an export keeps, found out before any row is joined that it will not keep.

A row's class needs its label, but most rows go whatever their label is: all whose ``sample_key`` is above the limit of
the negatives, unless some label calls them positive. What is left is read, joined to its labels, and judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from flywheel.export.rates import Rates, key_limit
from flywheel.export.stated import Stated

# The column of the predictions that hard negatives are told by; a name that no feature can have.
SCORE = "sampling score"
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

    def weigh(self, labelled: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that are kept, each with its ``weight``."""
        is_positive = pl.lit(value=False)
        if self.positive_label is not None:
            is_positive = pl.col("label") == self.positive_label
        is_hard = self.is_hard() & ~is_positive
        limit = pl.when(is_positive).then(self.positive_limit).otherwise(self.negative_limit)
        rate = pl.when(is_positive).then(self.rates.positive).when(is_hard).then(1.0).otherwise(self.rates.negative)
        return labelled.filter(is_hard | (_key <= limit)).with_columns(weight=1 / rate)

    def keys_kept(self, stated: Stated) -> pl.Expr:
        """Return whether a row may be kept by its key, as far as that can be said without its winning label."""
        if min(self.positive_limit, self.negative_limit) == _EVERY_KEY:
            return pl.lit(value=True)
        may_be_kept = _key <= self.negative_limit
        if self.positive_label is not None and self.positive_limit > self.negative_limit:
            called = stated.keys_of(self.positive_label)
            may_be_kept |= (_key <= self.positive_limit) & _key.is_in(called.implode())
        return may_be_kept

    def is_hard(self) -> pl.Expr:
        return (pl.col(SCORE) > self.rates.hard_threshold).fill_null(value=False)


def sample_by_class(logged: pl.LazyFrame, labels: Stated, classes: Classes) -> pl.DataFrame:
    """Return the labelled predictions, each kept by its own key at the rate of its class, with label and weight."""
    keys_kept = classes.keys_kept(labels)
    if classes.rates.hard_threshold < math.inf:
        rows = logged.filter(keys_kept | classes.is_hard()).collect(engine="streaming")
        keys_kept |= _key.is_in(rows.filter(classes.is_hard())["sample_key"].implode())
    else:
        rows = logged.filter(keys_kept).collect(engine="streaming")
    won = _winners(rows, labels.where(keys_kept))
    judged = _placed(rows.select("sample_key", SCORE), won["row"]).hstack(won)
    return _with_labels(rows, classes.weigh(judged))


def sample_reservoir(logged: pl.LazyFrame, labels: Stated, size: int) -> pl.DataFrame:
    """Return the ``size`` labelled predictions with the smallest keys, each weighing labelled / kept.

    That is a uniform sample without replacement, of ids: a prediction that was logged twice counts once.
    """
    labelled = labels.among(logged.select("prediction_id", "sample_key")).unique().collect(engine="streaming")
    kept = labelled.sort("sample_key", "prediction_id").head(size)
    near = _key <= kept["sample_key"].max() if kept.height else pl.lit(value=False)
    rows = logged.filter(near).join(kept.lazy(), on="prediction_id", how="semi").collect(engine="streaming")
    weight = labelled.height / max(kept.height, 1)
    return _with_labels(rows, _winners(rows, labels.where(near)).with_columns(weight=pl.lit(weight)))


def _winners(rows: pl.DataFrame, labels: Stated) -> pl.DataFrame:
    """Return the winning label of each row that has one, in the order of the rows."""
    return labels.winners(rows.select("prediction_id", "sample_key")).sort("row")


def _with_labels(rows: pl.DataFrame, won: pl.DataFrame) -> pl.DataFrame:
    """Lay label and weight beside the rows that have them; the others go, and all are copied once."""
    kept = _placed(rows.drop(SCORE), won["row"])
    return kept.hstack(won.select("label", "confidence", "event", "weight"))


def _placed(rows: pl.DataFrame, places: pl.Series) -> pl.DataFrame:
    return rows.filter(pl.int_range(rows.height, eager=True).is_in(places.implode()))
