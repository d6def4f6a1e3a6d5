"""Puts manifests into service and takes pipelines out of it."""

from __future__ import annotations

from collections.abc import Iterable

from prefect.blocks.core import Block
from pydantic import BaseModel

import blocks
from deployments.build import FlowDeployment, build_deployments
from deployments.register import register, unregister
from flywheel.errors import ManifestError, did_you_mean
from flywheel.manifest.documents import Document
from flywheel.manifest.load import Bundle
from flywheel.manifest.pipeline import Pipeline
from flywheel.metadata.revisions import Revisions
from flywheel.workspace import Workspace

_ALL_FLOWS = ["infer", "join-feedback", "check-drift", "export-training", "retrain", "promote", "reconcile"]


def apply(bundle: Bundle, workspace: Workspace) -> list[str]:
    """Save the documents as blocks, the pipelines as revisions, and make their deployments.

    Returns
    -------
    list[str]
        What changed, a line each; "unchanged" lines for the rest.

    Raises
    ------
    ManifestError
        A pipeline names a source or sink that is neither in the bundle nor in the workspace. Nothing has changed then.
    """
    database = workspace.database()
    database.require()
    revisions = Revisions(database)
    pipelines = [bundle.pipeline(name) for name in bundle.pipelines]
    _check_names(pipelines, bundle, revisions)
    lines = [*_save_documents(bundle, revisions)]
    for pipeline in pipelines:
        lines += _apply_pipeline(pipeline, bundle, revisions, workspace)
    return lines


def delete(name: str, workspace: Workspace) -> list[str]:
    """Take a pipeline out of service: its deployments go, its history and its tables stay."""
    Revisions(workspace.database()).delete(name)
    removed = unregister(name, _ALL_FLOWS)
    return [f"pipeline {name}: out of service", *(f"deployment {found}: removed" for found in removed)]


def _apply_pipeline(pipeline: Pipeline, bundle: Bundle, revisions: Revisions, workspace: Workspace) -> list[str]:
    name = pipeline.name
    training = bundle.texts.get(("Training", name))
    changed = revisions.apply(name, bundle.texts["FlywheelPipeline", name], training)
    wanted = build_deployments(pipeline)
    updated = register(wanted, workspace.base)
    unregister(name, sorted(set(_ALL_FLOWS) - {deployment.flow for deployment in wanted}))
    number = revisions.current(name).number
    return [
        f"pipeline {name}: revision {number}{'' if changed else ', unchanged'}",
        *(f"deployment {deployment.name}: {_state(deployment, updated)}" for deployment in wanted),
    ]


def _state(deployment: FlowDeployment, updated: Iterable[str]) -> str:
    schedule = f" ({deployment.cron})" if deployment.cron else ""
    trigger = f" (on {deployment.trigger.event})" if deployment.trigger else ""
    return f"{'applied' if deployment.name in updated else 'unchanged'}{schedule}{trigger}"


def _check_names(pipelines: list[Pipeline], bundle: Bundle, revisions: Revisions) -> None:
    sources = {*bundle.sources, *revisions.connections("Source")}
    sinks = {*bundle.sinks, *revisions.connections("Sink")}
    missing = [
        f"pipeline {pipeline.name}: {kind} {name!r} is in none of the files and not in the workspace"
        f"{did_you_mean(name, known)}"
        for pipeline in pipelines
        for kind, names, known in (
            ("source", _source_names(pipeline), sources),
            ("sink", [ref.name for ref in pipeline.spec.sinks], sinks),
        )
        for name in names
        if name not in known
    ]
    if missing:
        raise ManifestError(
            "\n".join(missing),
            state="nothing was changed",
            next_step="give the documents beside the pipeline too: flywheel apply -f PIPELINE -f CONNECTIONS",
        )


def _source_names(pipeline: Pipeline) -> list[str]:
    names = [pipeline.spec.source]
    if pipeline.feedback is not None:
        names.append(pipeline.feedback.source)
    if pipeline.training is not None and pipeline.training.bootstrap is not None:
        names.append(pipeline.training.bootstrap.source)
    return names


def _save_documents(bundle: Bundle, revisions: Revisions) -> Iterable[str]:
    kinds: list[tuple[str, dict[str, Document], type[Block]]] = [
        ("Source", dict(bundle.sources), blocks.FlywheelSource),
        ("Sink", dict(bundle.sinks), blocks.FlywheelSink),
        ("ModelServer", dict(bundle.model_servers), blocks.FlywheelModelServer),
        ("Storage", dict(bundle.storages), blocks.FlywheelStorage),
    ]
    for kind, documents, block_type in kinds:
        for name, document in documents.items():
            spec: BaseModel = document.spec  # type: ignore[attr-defined]
            changed = _save_block(block_type, name, spec)
            revisions.save_connection(kind, name, spec.model_dump(mode="json"))
            yield f"{kind} {name}: {'applied' if changed else 'unchanged'}"


def _save_block(block_type: type[Block], name: str, spec: BaseModel) -> bool:
    block = block_type(spec=spec)
    try:
        known = block_type.load(name)
    except ValueError:
        known = None
    if known is not None and known.spec == spec:  # type: ignore[attr-defined]
        return False
    block.save(name, overwrite=True)
    return True
