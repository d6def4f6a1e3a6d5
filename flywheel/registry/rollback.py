"""Makes an earlier champion the champion again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flywheel.errors import FlywheelError, not_found
from flywheel.inference.compatible import check_model
from flywheel.manifest.pipeline import Pipeline
from flywheel.registry.store import Registry
from flywheel.registry.version import RegisteredModel


@dataclass(frozen=True)
class RolledBack:
    """A model that went back ``from_version`` ``to_version``, and why."""

    model_id: str
    pipeline: str
    from_version: int
    to_version: int
    reason: str


def choose_version(registry: Registry, model_id: str, version: int | None) -> tuple[RegisteredModel, RegisteredModel]:
    """Return the champion and the version to go back to; by default the newest earlier one that was champion.

    Raises
    ------
    FlywheelError
        There is no champion, or the version has never been one: that is for reviews and retrains to decide.
    """
    champion = registry.champion(model_id)
    if champion is None:
        if not registry.versions(model_id):
            raise not_found("model", model_id, registry.model_ids(), next_step="flywheel model list")
        raise FlywheelError(f"model {model_id!r} has no champion to go back from", next_step="flywheel model list")
    former = [each for each in registry.versions(model_id) if each.status == "archived"]
    wanted = [each for each in former if (each.version == version if version else each.version < champion.version)]
    if not wanted:
        known = ", ".join(str(each.version) for each in former) or "none"
        asked = f"version {version} of {model_id}" if version else f"a version of {model_id} before {champion.version}"
        raise FlywheelError(
            f"{asked} has not been the champion; former champions: {known}",
            state=f"version {champion.version} stays the champion",
            next_step=f"flywheel model history {model_id}",
        )
    return champion, wanted[-1]


def roll_back(
    registry: Registry, model_id: str, version: int | None, pipeline: Pipeline | None, reason: str, as_of: datetime
) -> RolledBack:
    """Promote a former champion again, in one transaction; servers pick it up as they do any promotion.

    Its file is verified first, and that it takes the features of the ``pipeline`` as it is now (None: out of service).
    Drift is measured against its own baseline from its next batch on.

    Raises
    ------
    ModelMismatchError
        It was trained on other features than the manifest has by now.
    TamperedModelError
        Its file is not the one that was registered.
    """
    champion, former = choose_version(registry, model_id, version)
    if pipeline is not None:
        check_model(None, former.card, pipeline)
    registry.load(model_id, former.version)
    registry.read_onnx(former)
    told = f"rolled back from version {champion.version}: {reason}"
    registry.promote(model_id, former.version, champion.version, told, as_of)
    return RolledBack(model_id, former.pipeline, champion.version, former.version, reason)
