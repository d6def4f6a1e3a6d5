"""Trains a candidate against the champion that a request pinned."""

from __future__ import annotations

from flywheel.context import PipelineContext
from flywheel.export.manifest import ExportManifest
from flywheel.retraining.request import RetrainRequest
from flywheel.retraining.rows import training_rows
from flywheel.training.holdout import NotEnoughData
from flywheel.training.train import Candidate, train_candidate


def fit_candidate(
    context: PipelineContext, request: RetrainRequest, export: ExportManifest | None
) -> Candidate | NotEnoughData:
    """Fit and evaluate a candidate on what was known at the request's logical time."""
    rows = training_rows(context, export, request.as_of)
    champion = None
    if request.champion is not None:
        champion = context.registry.load(context.pipeline.inference.model_id, request.champion)
    return train_candidate(rows, context.pipeline, champion)
