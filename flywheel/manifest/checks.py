"""What can be wrong between parts of a pipeline that are each valid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flywheel.errors import did_you_mean
from flywheel.manifest.performance import performance_problems
from flywheel.manifest.problems import Finding, Path
from flywheel.manifest.retention import retention_problems
from flywheel.manifest.stage_checks import STAGES, stage_problems

if TYPE_CHECKING:
    from flywheel.manifest.drift import DriftConfig
    from flywheel.manifest.pipeline import Pipeline, Stage


def pipeline_problems(pipeline: Pipeline) -> list[Finding]:
    """What is wrong with a manifest by itself; its training may still come from a Training document."""
    shape = _shape(pipeline)
    conditions = [] if shape else _conditions(pipeline)
    return [*shape, *_links(pipeline), *conditions]


def applied_problems(pipeline: Pipeline) -> list[Finding]:
    """The same of a manifest that was applied: its conditions were compiled then, and are where they are used."""
    return [*_shape(pipeline), *_links(pipeline)]


def whole_problems(pipeline: Pipeline) -> list[Finding]:
    """What is wrong with a pipeline that has all of its documents, beside what ``pipeline_problems`` finds."""
    return [
        *_retraining(pipeline), *_sampling(pipeline), *retention_problems(pipeline), *performance_problems(pipeline),
    ]  # fmt: skip


def _names(pipeline: Pipeline) -> Iterator[Finding]:
    stages = list(enumerate(pipeline.spec.stages))
    yield from _twice(((*STAGES, i, "id"), stage.id) for i, stage in stages)
    features = [((*path, "name"), name) for path, name in _feature_names(stages)]
    yield from _twice(features)
    yield from _same_but_for_case(features)
    yield from _twice((("spec", "sinks", i, "name"), sink.name) for i, sink in enumerate(pipeline.spec.sinks))
    if pipeline.export is not None:
        base = _place_of(pipeline, "training-export", "training_export")
        parts = enumerate(pipeline.export.partition_by)
        yield from _twice(((*base, "partition_by", i), part) for i, part in parts)


def _feature_names(stages: list[tuple[int, Stage]]) -> Iterator[tuple[Path, str]]:
    for index, stage in stages:
        if stage.type == "feature-extraction":
            for position, feature in enumerate(stage.config.features):
                yield (*STAGES, index, "config", "features", position), feature.name


def _references(pipeline: Pipeline) -> Iterator[Finding]:
    names = [feature.name for feature in pipeline.features]
    config = (*_stage_path(pipeline, "ml-inference"), "config")
    inputs = [((*config, "input_features", i), name) for i, name in enumerate(pipeline.inference.input_features)]
    yield from _twice(inputs)
    yield from _known(inputs, names)
    if pipeline.inference.output_field.lower() in {name.lower() for name in names}:
        yield Finding((*config, "output_field"), "is the name of a feature too; give the output another name")
    if pipeline.drift is not None and pipeline.drift.features is not None:
        path = (*_stage_path(pipeline, "drift-detection"), "config", "features")
        yield from _known([((*path, i), name) for i, name in enumerate(pipeline.drift.features)], names)
    if pipeline.drift is not None:
        path = (*_stage_path(pipeline, "drift-detection"), "config", "importance")
        own = [name for name in pipeline.drift.weights if "." not in name]  # prediction.score is no feature
        yield from _known([((*path, name), name) for name in own], names)
        path = (*_stage_path(pipeline, "drift-detection"), "config", "slices")
        slices = [((*path, i), name) for i, name in enumerate(pipeline.drift.slices)]
        yield from _twice(slices)
        yield from _known(slices, names)
        yield from _embeddings(pipeline, pipeline.drift)


def _embeddings(pipeline: Pipeline, drift: DriftConfig) -> Iterator[Finding]:
    if not drift.embeddings:
        return
    from flywheel.manifest.schema import record_schema

    numbers = [name for name, dtype in record_schema(pipeline).items() if dtype.is_numeric()]
    for embedding, components in drift.embeddings.items():
        path = (*_stage_path(pipeline, "drift-detection"), "config", "embeddings", embedding)
        uses = [((*path, i), name) for i, name in enumerate(components)]
        yield from _twice(uses)
        yield from _known(uses, numbers, "a numeric feature")
        if len(components) < 2:
            yield Finding(path, "needs two components at least; a single feature is checked by itself")


def _known(uses: Iterable[tuple[Path, str]], names: list[str], kind: str = "a feature") -> Iterator[Finding]:
    listing = ", ".join(names) or "none"
    for path, name in uses:
        if name not in names:
            yield Finding(path, f"is not {kind}{did_you_mean(name, names)}; there is: {listing}")


def _twice(uses: Iterable[tuple[Path, str]]) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, name in uses:
        if name in seen:
            yield Finding(path, "is given twice")
        seen.add(name)


def _same_but_for_case(uses: Iterable[tuple[Path, str]]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for path, name in uses:
        other = first.setdefault(name.lower(), name)
        if other != name:
            yield Finding(path, f"differs from {other!r} only in case; Delta and SQL take the two for one column")


def _loop(pipeline: Pipeline) -> Iterator[Finding]:
    if pipeline.spec.prediction_id is None and pipeline.feedback is None:
        yield Finding(("spec",), "needs prediction_id, or feedback with its join_key: where a record carries its id")
    if pipeline.export is not None and pipeline.feedback is None:
        yield Finding(_place_of(pipeline, "training-export", "training_export"), "needs feedback, which gives labels")
    drift = pipeline.drift
    if drift is not None and drift.window_size is not None and drift.window_size < drift.fewest_rows:
        given = "" if "min_rows" in drift.model_fields_set else " (the default)"
        path = (*_stage_path(pipeline, "drift-detection"), "config", "window_size")
        yield Finding(path, f"is below min_rows, {drift.fewest_rows}{given}: no check would ever have enough data")
    if drift is not None and drift.on_drift == "fallback" and pipeline.inference.fallback == "error":
        path = (*_stage_path(pipeline, "drift-detection"), "config", "on_drift")
        yield Finding(path, "needs a fallback other than error in the ml-inference stage")


def _labels(pipeline: Pipeline) -> Iterator[Finding]:
    if pipeline.feedback is None:
        return
    base = (*_place_of(pipeline, "feedback-join", "feedback"), "labels")
    rules = pipeline.feedback.labels
    training = pipeline.training
    if training is not None and training.task == "regression":
        for index, rule in enumerate(rules):
            if rule.label is not None and not _is_number(rule.label_text):
                yield Finding((*base, index, "label"), "is no number; a regression learns numbers")
    if any(rule.label_field is not None for rule in rules):
        return
    labels = list(dict.fromkeys(rule.label_text for rule in rules if rule.label_text is not None))
    if training is not None and training.task == "classification" and len(labels) == 1:
        yield Finding(base, f"only ever say {labels[0]!r}; a classification needs a second label")
    yield from _positive(pipeline, labels)


def _positive(pipeline: Pipeline, labels: list[str]) -> Iterator[Finding]:
    uses: list[tuple[Path, str | None]] = []
    if pipeline.training is not None:
        uses.append((("spec", "training", "target"), pipeline.training.target))
    if pipeline.export is not None:
        path = (*_place_of(pipeline, "training-export", "training_export"), "sampling", "positive_label")
        uses.append((path, pipeline.export.sampling.positive_label))
    for path, label in uses:
        if label is not None and label not in labels:
            yield Finding(path, f"is no label{did_you_mean(label, labels)}; the rules give: {', '.join(labels)}")


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _conditions(pipeline: Pipeline) -> Iterator[Finding]:
    from flywheel.manifest.conditions import condition_problems

    if not _has_inference(pipeline):
        return
    feedback = _place_of(pipeline, "feedback-join", "feedback") if pipeline.feedback else ()
    inference = (*_stage_path(pipeline, "ml-inference"), "config")
    yield from condition_problems(pipeline, feedback, inference)


def _retraining(pipeline: Pipeline) -> Iterator[Finding]:
    asks: list[tuple[Path, str]] = []
    if pipeline.drift is not None and pipeline.drift.on_drift == "retrain":
        asks.append(((*_stage_path(pipeline, "drift-detection"), "config", "on_drift"), "retrain"))
    if pipeline.spec.schedules.retrain is not None:
        asks.append((("spec", "schedules", "retrain"), "a retrain schedule"))
    for path, ask in asks:
        if pipeline.training is None:
            yield Finding(path, f"{ask} needs spec.training, or a Training document named {pipeline.name}")
        elif pipeline.training.task != "anomaly" and pipeline.feedback is None:
            yield Finding(path, f"{ask} needs feedback, which gives labels")


def _sampling(pipeline: Pipeline) -> Iterator[Finding]:
    if pipeline.export is None or pipeline.positive_label is not None:
        return
    if pipeline.export.sampling.strategy in ("stratified", "hard_negative"):
        path = (*_place_of(pipeline, "training-export", "training_export"), "sampling")
        yield Finding(path, "needs positive_label, since neither training.target nor a label rule gives one")


def _shape(pipeline: Pipeline) -> list[Finding]:
    return [*stage_problems(pipeline), *_names(pipeline)]


def _links(pipeline: Pipeline) -> Iterator[Finding]:
    if _has_inference(pipeline):
        yield from _references(pipeline)
        yield from _loop(pipeline)
        yield from _labels(pipeline)


def _has_inference(pipeline: Pipeline) -> bool:
    return any(stage.type == "ml-inference" for stage in pipeline.spec.stages)


def _stage_path(pipeline: Pipeline, kind: str) -> Path:
    return (*STAGES, next(i for i, stage in enumerate(pipeline.spec.stages) if stage.type == kind))


def _place_of(pipeline: Pipeline, stage: str, section: str) -> Path:
    """Where a part is that may be a section of ``spec`` or a stage."""
    if getattr(pipeline.spec, section) is not None:
        return ("spec", section)
    return (*_stage_path(pipeline, stage), "config")
