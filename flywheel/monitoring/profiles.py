"""Turns a scored batch into rows of the profiles table."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from flywheel.drift.baseline import Baseline
from flywheel.drift.profile import profile
from flywheel.inference.fallback import OK
from flywheel.lake.span import time_span
from flywheel.lake.tables import PROFILES


def profile_rows(predictions: pl.DataFrame, baseline: Baseline, number: int, predicted_at: datetime) -> pl.DataFrame:
    """Return a batch's counts on the baseline's bins, with what is needed to find them again by batch and by time."""
    times = time_span(predictions)
    if times is None:
        return pl.DataFrame(schema=PROFILES)
    first, last = times
    told = {
        "batch_id": number,
        "baseline_id": baseline.id,
        "predicted_at": predicted_at,
        "first_event": first,
        "last_event": last,
        "rows": predictions.height,
        # A window by time asks for the batches whose newest event is young enough.
        "date": last.date(),
    }
    counts = _counts(predictions, baseline)
    return counts.select(
        pl.lit(told[name], dtype).alias(name) if name in told else pl.col(name) for name, dtype in PROFILES.items()
    )


def _counts(predictions: pl.DataFrame, baseline: Baseline) -> pl.DataFrame:
    """Count every row's features, but only the model's own answers: an outage is not drift of the model."""
    everything = profile(predictions, baseline)
    is_answered = predictions["status"] == OK
    if is_answered.all(ignore_nulls=False):
        return everything
    own = [feature.name for feature in baseline.measured if feature.is_prediction]
    is_own = pl.col("feature").is_in(own)
    return pl.concat([everything.filter(~is_own), profile(predictions.filter(is_answered), baseline).filter(is_own)])
