"""Puts manifests into service and takes pipelines out of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from prefect.blocks.core import Block
from pydantic import BaseModel

import blocks
from deployments.build import FlowDeployment, build_deployments
from deployments.register import register, unregister
from flywheel.errors import not_found
from flywheel.manifest.bundle import Bundle, refuse
from flywheel.manifest.connections import named_connections
from flywheel.manifest.documents import Document
from flywheel.manifest.pipeline import Pipeline
from flywheel.metadata.revisions import Revisions
from flywheel.registry.store import Registry
from flywheel.workspace import Workspace

_BLOCK_TYPES: dict[str, type[Block]] = {
    "Source": blocks.FlywheelSource,
    "Sink": blocks.FlywheelSink,
    "ModelServer": blocks.FlywheelModelServer,
    "Storage": blocks.FlywheelStorage,
}
_ALL_FLOWS = [
    "infer", "rescore", "maintain", "join-feedback", "measure-performance", "check-drift", "export-training", "retrain",
    "promote", "reconcile", "backfill", "reprofile", "backtest",
]  # fmt: skip


def apply(bundle: Bundle, workspace: Workspace) -> list[str]:
    """Save the documents as blocks, the pipelines as revisions, and make their deployments.

    Returns
    -------
    list[str]
        What changed, a line each; "unchanged" lines for the rest.

    Raises
    ------
    ManifestError
        Documents do not fit together, or a pipeline names a source or sink that is neither in the bundle nor in the
        workspace. Nothing has changed then.
    """
    database = workspace.database()
    database.require()
    revisions = Revisions(database)
    _check(bundle, revisions)
    pipelines = [bundle.pipeline(name) for name in bundle.pipelines]
    lines = [*_save_documents(bundle, revisions)]
    for pipeline in pipelines:
        lines += _apply_pipeline(pipeline, bundle, revisions, workspace)
    return lines


def delete(name: str, workspace: Workspace) -> list[str]:
    """Take a pipeline out of service; its history and its tables stay.

    Its deployments go with their schedules, their triggers and their runs under way, and so do the connections that no
    other pipeline names: they may hold secrets. Deleting again after a failure half-way goes on from there.
    """
    revisions = Revisions(workspace.database())
    known = revisions.names()
    if name not in known:
        raise not_found("pipeline", name, known, next_step="flywheel get pipelines")
    removed = unregister(name, _ALL_FLOWS)
    others = [_connections(revisions.current(each).pipeline) for each in known if each != name]
    only_here = _connections(revisions.current(name).pipeline) - set().union(*others)
    for kind, each in only_here:
        _delete_block(_BLOCK_TYPES[kind], each)
    forgotten = [(kind, each) for kind, each in sorted(only_here) if revisions.forget_connection(kind, each)]
    revisions.delete(name)
    return [
        f"pipeline {name}: out of service",
        *removed,
        *(f"{kind} {each}: removed" for kind, each in forgotten),
    ]


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
        *_first_step(pipeline, workspace),
    ]


def _first_step(pipeline: Pipeline, workspace: Workspace) -> Iterable[str]:
    """What must come before the first ``infer``, where that has not been done yet."""
    model_id = pipeline.inference.model_id
    registry = Registry(workspace.database(), workspace.storage(), f"{workspace.lake}/models")
    if pipeline.training is not None and registry.champion(model_id) is None:
        yield f"next: flywheel run retrain -p {pipeline.name}  (infer waits for the first champion of {model_id})"


def _state(deployment: FlowDeployment, updated: Iterable[str]) -> str:
    schedule = f" ({deployment.cron})" if deployment.cron else ""
    trigger = f" (on {deployment.trigger.event})" if deployment.trigger else ""
    return f"{'applied' if deployment.name in updated else 'unchanged'}{schedule}{trigger}"


def _check(bundle: Bundle, revisions: Revisions) -> None:
    known = {kind: revisions.connections(kind) for kind in ("Source", "Sink")}
    problems = bundle.whole_problems() or bundle.unknown_connections(known)
    if problems:
        raise refuse(problems)


def _connections(pipeline: Pipeline) -> set[tuple[str, str]]:
    """The kind and name of every connection that a pipeline names."""
    return {(each.kind, each.name) for each in named_connections(pipeline)}


def _save_documents(bundle: Bundle, revisions: Revisions) -> Iterable[str]:
    kinds: dict[str, dict[str, Document]] = {
        "Source": dict(bundle.sources),
        "Sink": dict(bundle.sinks),
        "ModelServer": dict(bundle.model_servers),
        "Storage": dict(bundle.storages),
    }
    for kind, documents in kinds.items():
        for name, document in documents.items():
            spec: BaseModel = document.spec  # type: ignore[attr-defined]
            changed = _save_block(_BLOCK_TYPES[kind], name, spec)
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


def _delete_block(block_type: type[Block], name: str) -> None:
    # There may be none: somebody deleted it by hand, or a deletion before this one ended half-way.
    with suppress(ValueError):
        block_type.delete(name)
