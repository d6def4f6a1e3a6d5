"""Finds the baseline that a pipeline's predictions are compared with."""

from __future__ import annotations

from flywheel.context import PipelineContext
from flywheel.drift.baseline import Baseline


def baseline_uri(context: PipelineContext, model_id: str, baseline_id: str) -> str:
    """Return where the baseline of a model version is kept."""
    return f"{context.workspace.lake.rstrip('/')}/baselines/{model_id}/{baseline_id}.json"


def find_baseline(context: PipelineContext, model_id: str, version: int | None) -> Baseline | None:
    """Return the manifest's own baseline if there is one at its ``baseline_uri``, else the model version's.

    None where there is neither: the model is not from our registry and nobody has put a baseline down.
    """
    drift = context.pipeline.drift
    if drift is not None and drift.baseline_uri is not None:
        fixed = _read(context, drift.baseline_uri)
        if fixed is not None:
            return fixed
    if version is None:
        return None
    card = context.registry.get(model_id, version).card
    return _read(context, baseline_uri(context, model_id, card.baseline_id))


def _read(context: PipelineContext, uri: str) -> Baseline | None:
    try:
        text = context.storage.read_bytes(uri)
    except (FileNotFoundError, IsADirectoryError):
        return None
    return Baseline.from_json(text.decode())
