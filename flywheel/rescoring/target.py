"""Which model scores a batch again: the version that the batch is pinned to, or the champion when that is gone."""

from __future__ import annotations

from flywheel.context import PipelineContext
from flywheel.errors import FlywheelError, NotFoundError
from flywheel.inference.client import ModelClient
from flywheel.inference.compatible import check_model
from flywheel.inference.predict import Target
from flywheel.registry.version import RegisteredModel


def find_target(context: PipelineContext, client: ModelClient, model_id: str, version: int | None) -> Target:
    """Return the model to ask; ``version`` None is the one that its own server chooses.

    Parameters
    ----------
    context
        The pipeline at the batch's revision.

    Raises
    ------
    InferenceError
        The server does not say whether it has the version.
    ModelMismatchError
        The version is gone, and the champion takes other features than that revision has.
    """
    if version is None:
        return Target(model_id, None, None)
    pinned = _registered(context, model_id, version)
    if pinned is not None and client.serves(model_id, str(version)):
        return Target(model_id, version, pinned.card)
    champion = context.registry.champion(model_id)
    if champion is None:
        raise FlywheelError(
            f"version {version} of {model_id!r} is gone, and there is no champion in its place",
            state="nothing was scored again",
            next_step=f"flywheel run retrain -p {context.name}, then: flywheel run rescore -p {context.name}",
        )
    check_model(None, champion.card, context.pipeline)
    return Target(model_id, champion.version, champion.card)


def _registered(context: PipelineContext, model_id: str, version: int) -> RegisteredModel | None:
    try:
        return context.registry.get(model_id, version)
    except NotFoundError:
        return None
