"""What can be wrong with the list of a pipeline's stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flywheel.manifest.problems import Finding, Path

if TYPE_CHECKING:
    from flywheel.manifest.pipeline import Pipeline

AFTER_INFERENCE = ("drift-detection", "feedback-join", "training-export")
STAGES: Path = ("spec", "stages")


def stage_problems(pipeline: Pipeline) -> Iterator[Finding]:
    """A stage that is missing, given twice or out of order, or that says what a section of ``spec`` says too."""
    stages = pipeline.spec.stages
    given = Counter(stage.type for stage in stages)
    for kind in ("feature-extraction", "ml-inference"):
        if not given[kind]:
            yield Finding(STAGES, f"has no stage of type {kind}")
    for kind in ("ml-inference", *AFTER_INFERENCE):
        for index in [i for i, stage in enumerate(stages) if stage.type == kind][1:]:
            yield Finding((*STAGES, index), f"is a second stage of type {kind}; a pipeline takes one")
    yield from _order(pipeline)
    sections = {"feedback-join": "feedback", "training-export": "training_export"}
    for index, stage in enumerate(stages):
        section = sections.get(stage.type)
        if section and getattr(pipeline.spec, section) is not None:
            yield Finding((*STAGES, index), f"says what spec.{section} says too; keep one of them")


def _order(pipeline: Pipeline) -> Iterator[Finding]:
    """Features come before inference, and what looks at predictions after it."""
    kinds = [stage.type for stage in pipeline.spec.stages]
    place = kinds.index("ml-inference") if "ml-inference" in kinds else len(kinds)
    for index, kind in enumerate(kinds):
        if kind == "feature-extraction" and index > place:
            yield Finding((*STAGES, index), "comes after the ml-inference stage, which needs its features; move it up")
        if kind in AFTER_INFERENCE and index < place < len(kinds):
            yield Finding((*STAGES, index), "comes before the ml-inference stage, whose predictions it needs")
