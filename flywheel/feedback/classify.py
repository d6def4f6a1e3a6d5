"""What each pending feedback event comes to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from flywheel.lake.repeats import repeated

IDENTITY = ["prediction_id", "label", "event", "event_time"]


@dataclass(frozen=True)
class Judge:
    """``number`` of the join; ``given_up_before``: an event received before it that has no prediction is an orphan."""

    number: int
    max_delay: timedelta
    given_up_before: datetime

    def outcomes(self, found: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
        """Say of each event what it comes to.

        Parameters
        ----------
        found
            Distinct events, with ``predicted`` the time of their prediction, null where there is none.
        known
            The label rows of these predictions by joins before this one.

        Returns
        -------
        polars.DataFrame
            The events with ``outcome``: unlabelled (no rule gave a label), orphan, waiting, late, known or labelled;
            and ``date``, that of the prediction.
        """
        labels = known.select(IDENTITY).unique().with_columns(is_known=True)
        is_missing = pl.col("predicted").is_null()
        outcome = (
            pl.when(pl.col("label").is_null())
            .then(pl.lit("unlabelled"))
            .when(is_missing & (pl.col("received_at") < self.given_up_before))
            .then(pl.lit("orphan"))
            .when(is_missing)
            .then(pl.lit("waiting"))
            .when(pl.col("event_time") - pl.col("predicted") > self.max_delay)
            .then(pl.lit("late"))
            .when(pl.col("is_known").is_not_null())
            .then(pl.lit("known"))
            .otherwise(pl.lit("labelled"))
        )
        if labels.is_empty():
            judged = found.with_columns(is_known=None)
        else:
            judged = found.join(labels, on=IDENTITY, how="left", maintain_order="left")
        return judged.with_columns(outcome=outcome, date=pl.col("predicted").dt.date()).drop("is_known")

    def distinct(self, pending: pl.DataFrame) -> pl.DataFrame:
        """Return each event once, however often it was delivered: ``new_copies`` in this join, ``old_copies`` before.

        Where ``is_only`` is true, no other pending event is about the same prediction.

        Parameters
        ----------
        pending
            Rows of events with their ``sample_key``. Most ids have one, which is found out by their keys.
        """
        is_new = pl.col("batch_id") == self.number
        several = repeated(pending["sample_key"])
        single = pending.filter(~several).select(
            *IDENTITY,
            "confidence",
            "received_at",
            "sample_key",
            new_copies=is_new.cast(pl.Int64),
            old_copies=(~is_new).cast(pl.Int64),
            is_only=True,
        )
        merged = (
            pending.filter(several)
            .group_by(IDENTITY, maintain_order=True)
            .agg(
                pl.col("confidence").max(),
                pl.col("received_at").min(),
                pl.col("sample_key").first(),
                new_copies=is_new.sum().cast(pl.Int64),
                old_copies=(~is_new).sum().cast(pl.Int64),
            )
            .with_columns(is_only=False)
        )
        return pl.concat([single, merged])
