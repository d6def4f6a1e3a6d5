"""What a new version's answers look like without drift: the reference of the prediction's own drift."""

from __future__ import annotations

import polars as pl

from flywheel.drift.baseline import fit_baseline
from flywheel.drift.measured import measured_features
from flywheel.drift.measures import MEASURES
from flywheel.drift.measures.comparison import Comparison
from flywheel.drift.profile import counts_by_feature, profile
from flywheel.inference.answers import answers_for
from flywheel.manifest.pipeline import Pipeline
from flywheel.records.encode import encode
from flywheel.registry.card import ModelCard
from flywheel.serving.scoring import score
from flywheel.training.fit import FittedModel
from flywheel.training.train import Candidate

# Enough for bins of a hundredth of the rows.
_MAX_ROWS = 100_000
_KNOWN_BY_HEART = 0.1


def reference_answers(pipeline: Pipeline, candidate: Candidate, card: ModelCard, known: pl.DataFrame) -> pl.DataFrame:
    """Return some of the rows with a prediction's fields in the pipeline's output column.

    Two fits on nearly the same rows can differ in every value that they answer, so the reference is what the version
    that will serve says of the rows that it learned from. Where it knows those by heart, as full-grown forests do, it
    is what the candidate said, before it was fitted once more, of rows after those that it had learned from.

    Parameters
    ----------
    known
        Features of all records that the pipeline has seen, with ``event_time`` and ``sample_key``.
    """
    first = candidate.evaluated
    seen, unseen = _sample(known.filter(learned_from(first))), _sample(known.filter(~learned_from(first)))

    def answered(model: FittedModel, rows: pl.DataFrame) -> pl.DataFrame:
        fields = answers_for(pipeline, card).fields(score(model.estimator, card.task, encode(rows, model.encoding)))
        return rows.with_columns(fields.to_struct(pipeline.inference.output_field))

    if not unseen.is_empty():
        out_of_sample = answered(first, unseen)
        if candidate.model is first or _differ(pipeline, answered(first, seen), out_of_sample):
            return out_of_sample
    return answered(candidate.model, _sample(known.filter(learned_from(candidate.model))))


def _differ(pipeline: Pipeline, seen: pl.DataFrame, unseen: pl.DataFrame) -> bool:
    """Whether a model answers otherwise on the rows that it learned from: PSI above 0.1."""
    numbers = [field for field in measured_features(pipeline) if field.is_prediction and field.kind == "numeric"]
    reference = fit_baseline(seen, numbers, "rows learned from")
    counts = counts_by_feature(profile(unseen, reference), reference)
    values = [MEASURES["psi"].value(Comparison(reference.features[name], found)) for name, found in counts.items()]
    return any(value is not None and value > _KNOWN_BY_HEART for value in values)


def learned_from(model: FittedModel) -> pl.Expr:
    """Return whether a row is of the time that a model learned from; all are where it does not know."""
    if model.trained_from is None or model.trained_to is None:
        return pl.lit(True)
    return pl.col("event_time").is_between(model.trained_from, model.trained_to)


def _sample(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("sample_key").head(_MAX_ROWS)
