"""The join as one SQL statement over all that came lately: what ``join_feedback`` must come to, remembering or not."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from flywheel.feedback.counts import count_outcomes
from flywheel.feedback.join import JoinBatch, Joined
from flywheel.feedback.waiting import Waiting
from flywheel.lake.duck import connect
from flywheel.lake.tables import LABELS, PipelineTables
from flywheel.manifest.feedback import ABSENT
from flywheel.records.sample_key import sample_keys

_STATEMENT = Path(__file__).with_name("classify_feedback.sql").read_text()


def join_in_sql(tables: PipelineTables, batch: JoinBatch) -> Joined:
    """Look every event of the last two ``max_delay`` up in the whole log, by its id."""
    rows = tables.feedback.read(tables.feedback.files())
    is_recent = pl.col("received_at") > batch.as_of - 2 * batch.max_delay
    pending = pl.concat([rows.filter(is_recent, pl.col("batch_id") < batch.number), batch.events])
    known = tables.labels.read(tables.labels.files())
    parameters = {
        "batch": batch.number,
        "last_logged": batch.last_logged,
        "max_delay": batch.max_delay,
        "given_up_before": batch.as_of - batch.max_delay,
    }
    with connect() as connection:
        connection.register("events", pending.to_arrow())
        connection.register("predictions", tables.predictions.read(tables.predictions.files()).to_arrow())
        connection.register("known", known.to_arrow())
        outcomes = pl.DataFrame(connection.sql(_STATEMENT, params=parameters).to_arrow_table())
    new = outcomes.filter(pl.col("outcome") == "labelled").with_columns(batch_id=pl.lit(batch.number, pl.Int64))
    new = new.with_columns(sample_keys(new["prediction_id"]))
    labels = new.select(LABELS.names()).cast(dict(LABELS))  # type: ignore[arg-type]
    stated = known.filter(pl.col("event") != ABSENT).join(labels, on="prediction_id", how="semi")
    both = pl.concat([labels.select("prediction_id", "label"), stated.select("prediction_id", "label")])
    conflicts = both.group_by("prediction_id").agg(pl.col("label").n_unique()).filter(pl.col("label") > 1).height
    counts = count_outcomes(outcomes, batch.as_of, batch.previous_as_of, batch.max_delay, conflicts)
    return Joined(labels, counts, Waiting(pending.clear(), 0, batch.max_delay))
