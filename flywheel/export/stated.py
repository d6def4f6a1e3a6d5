"""The labels that an export may use, found by the ``sample_key`` of their prediction and not by its id.

The ids of all labels are most of the labels table, and most labels are of rows that are not kept. So ids are read, and
compared, where the key says so. Label rows of an earlier Flywheel have no key: they are found by their ids.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from flywheel.feedback.winning import pick_winners
from flywheel.records.sample_key import sample_keys

_COLUMNS = ["label", "confidence", "event", "event_time", "received_at"]
_ID, _KEY, _ROW = "prediction_id", "sample_key", "row"


@dataclass(frozen=True)
class Stated:
    """All label rows, those that have a key, and those that have none; ``is_used`` says which of them count.

    That is asked of the rows found: there a filter is cheap, while columns of all rows are not.
    """

    labels: pl.LazyFrame
    keyed: pl.LazyFrame
    unkeyed: pl.LazyFrame
    is_used: pl.Expr

    @classmethod
    def of(cls, labels: pl.LazyFrame, is_used: pl.Expr) -> Stated:
        """Ask of all ``labels``; some may lack the column of keys, or have nulls in it."""
        if _KEY in labels.collect_schema():
            return cls(labels, labels, labels.filter(pl.col(_KEY).is_null()), is_used)
        keyed = labels.clear().with_columns(pl.lit(None, pl.Int64).alias(_KEY))
        return cls(labels, keyed, labels, is_used)

    def where(self, keys: pl.Expr) -> Stated:
        """Leave out labels of which ``keys``, over `sample_key`, says that they are not asked for."""
        return replace(self, keyed=self.keyed.filter(keys))

    def keys_of(self, label: str) -> pl.Series:
        """Return the keys of the predictions that some label row calls ``label``, whether it counts or not."""
        is_called = pl.col("label") == label
        keys = self.keyed.filter(is_called).select(_KEY).collect(engine="streaming")[_KEY]
        ids = self.unkeyed.filter(is_called).select(_ID).collect(engine="streaming")[_ID]
        return pl.concat([keys.drop_nulls(), sample_keys(ids)])

    def among(self, predictions: pl.LazyFrame) -> pl.LazyFrame:
        """Return the predictions that have a label that counts."""
        return predictions.join(self.labels.filter(self.is_used), on=_ID, how="semi")

    def winners(self, predictions: pl.DataFrame) -> pl.DataFrame:
        """Return the winning label of each prediction that has one, with its ``row``: its place in ``predictions``.

        Parameters
        ----------
        predictions
            ``prediction_id`` and ``sample_key``.
        """
        numbered = predictions.with_row_index(_ROW)
        ids = numbered[_ID]
        asked = numbered.select(_ROW, _KEY).lazy()
        columns = [_ROW, *_COLUMNS]
        said = self.keyed.join(asked, on=_KEY, how="inner").select(_ID, *columns).collect(engine="streaming")
        by_key = said.filter(said[_ID] == ids.gather(said[_ROW])).select(columns)
        by_id = self.unkeyed.join(numbered.select(_ROW, _ID).lazy(), on=_ID, how="inner").select(columns)
        found = pl.concat([by_key, by_id.collect(engine="streaming")])
        return pick_winners(found.filter(self.is_used), _ROW)
