"""Finds the baseline that a pipeline's predictions are compared with."""

from __future__ import annotations

from functools import lru_cache

from flywheel.context import PipelineContext
from flywheel.drift.baseline import Baseline
from flywheel.errors import FlywheelError


def baseline_uri(context: PipelineContext, model_id: str, baseline_id: str) -> str:
    """Return where the baseline of a model version is kept."""
    return f"{_folder(context, model_id)}/{baseline_id}.json"


def beside_baselines(context: PipelineContext) -> list[str]:
    """Return the folders that the baselines of a pipeline's checks are in: our own, then that of ``baseline_uri``."""
    fixed = context.pipeline.drift.baseline_uri if context.pipeline.drift else None
    own = _folder(context, context.pipeline.inference.model_id)
    return [own] if fixed is None else [own, fixed.rpartition("/")[0] or "."]


def _folder(context: PipelineContext, model_id: str) -> str:
    return f"{context.workspace.lake.rstrip('/')}/baselines/{model_id}"


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
    card = context.registry.card(model_id, version)
    return _read(context, baseline_uri(context, model_id, card.baseline_id))


def require_baseline(context: PipelineContext, version: int | None) -> Baseline:
    """Return what ``find_baseline`` finds for the pipeline's model; FlywheelError where there is none."""
    model_id = context.pipeline.inference.model_id
    baseline = find_baseline(context, model_id, version)
    if baseline is None:
        raise FlywheelError(
            f"pipeline {context.name!r} has no baseline: model {model_id!r} has none and none is at baseline_uri",
            state="nothing was checked",
            next_step=f"flywheel run retrain -p {context.name}, or put a baseline at the manifest's baseline_uri",
        )
    return baseline


def read_baseline(context: PipelineContext, baseline_id: str) -> Baseline:
    """Return the baseline that a drift check names; FlywheelError where it is gone."""
    uri = baseline_uri(context, context.pipeline.inference.model_id, baseline_id)
    fixed = context.pipeline.drift.baseline_uri if context.pipeline.drift else None
    for each in (uri, fixed):
        baseline = _read(context, each) if each else None
        if baseline is not None and baseline.id == baseline_id:
            return baseline
    raise FlywheelError(
        f"baseline {baseline_id!r} is gone: it is not at {uri}",
        state="the check's decision is stored, its histograms can't be drawn",
        next_step=f"flywheel drift history -p {context.name} --json",
    )


def _read(context: PipelineContext, uri: str) -> Baseline | None:
    try:
        text = context.storage.read_bytes(uri)
    except (FileNotFoundError, IsADirectoryError):
        return None
    return _parsed(text)


@lru_cache(maxsize=8)
def _parsed(text: bytes) -> Baseline:
    # Every batch of a run is counted on the same one.
    return Baseline.from_json(text.decode())
