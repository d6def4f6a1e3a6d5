"""The winning label of every prediction, as it was known at a time."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from flywheel.lake.repeats import may_repeat, repeated

_RULE = {"confidence": True, "event_time": False, "label": False, "event": False, "received_at": False}


def winning_labels(labels: pl.LazyFrame, as_of: datetime, min_confidence: float = 0.0) -> pl.DataFrame:
    """Return the label of each prediction that has one: the surest, then the earliest, then by its text.

    Parameters
    ----------
    labels
        Rows of the labels table; of one that is far away, the caller is ``reaching`` it.
    as_of
        Labels received later are not seen.
    min_confidence
        Labels below it are not used.

    Returns
    -------
    polars.DataFrame
        ``prediction_id``, ``label``, ``confidence``, ``event``, ``event_time`` and ``received_at``, in no order.
    """
    columns = ["prediction_id", *_RULE]
    rows = labels.filter(stated_by(as_of, min_confidence)).select(columns).collect(engine="streaming")
    return pick_winners(rows, "prediction_id")


def stated_by(as_of: datetime, min_confidence: float) -> pl.Expr:
    """Return whether a label was known by ``as_of`` and is sure enough."""
    is_sure = pl.col("confidence") >= min_confidence
    return (pl.col("received_at") <= as_of) & is_sure & pl.col("label").is_not_null()


def pick_winners(stated: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return the winning row of each ``key``. Most have one row, which has won: the rule is for the others."""
    keys = stated[key]
    disputed = repeated(keys) if keys.dtype.is_integer() else may_repeat(keys)
    won = stated.filter(disputed).sort(list(_RULE), descending=list(_RULE.values())).unique(key, keep="first")
    return pl.concat([stated.filter(~disputed), won])
