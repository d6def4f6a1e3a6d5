"""Documents that belong together, and what can be wrong between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from pydantic import ValidationError

from flywheel.errors import ManifestError, not_found
from flywheel.manifest.checks import whole_problems
from flywheel.manifest.documents import (
    Document,
    ModelServerDocument,
    SinkDocument,
    SourceDocument,
    StorageDocument,
    TrainingDocument,
)
from flywheel.manifest.explain import findings_in, place
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.problems import Finding, Problem
from flywheel.manifest.yaml_text import Node


class Kind(NamedTuple):
    """A kind of document: its model and the field of Bundle that holds it."""

    model: type[Document]
    place: str


KINDS = {
    "FlywheelPipeline": Kind(Pipeline, "pipelines"),
    "Source": Kind(SourceDocument, "sources"),
    "Sink": Kind(SinkDocument, "sinks"),
    "ModelServer": Kind(ModelServerDocument, "model_servers"),
    "Storage": Kind(StorageDocument, "storages"),
    "Training": Kind(TrainingDocument, "trainings"),
}


@dataclass(frozen=True)
class Written:
    """A document as written: its file, its text, and its values with their lines."""

    file: str
    text: str
    root: Node


@dataclass(frozen=True)
class Bundle:
    """The documents of some files, by kind and name; ``texts`` holds the YAML of each by (kind, name)."""

    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    sources: dict[str, SourceDocument] = field(default_factory=dict)
    sinks: dict[str, SinkDocument] = field(default_factory=dict)
    model_servers: dict[str, ModelServerDocument] = field(default_factory=dict)
    storages: dict[str, StorageDocument] = field(default_factory=dict)
    trainings: dict[str, TrainingDocument] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    written: dict[tuple[str, str], Written] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, documents: Mapping[tuple[str, str], Document], written: dict[tuple[str, str], Written]) -> Self:
        """Sort documents by their kinds."""
        places: dict[str, dict[str, Any]] = {kind.place: {} for kind in KINDS.values()}
        for (kind, name), document in documents.items():
            places[KINDS[kind].place][name] = document
        return cls(**places, texts={key: each.text for key, each in written.items()}, written=written)

    def pipeline(self, name: str) -> Pipeline:
        """Return the pipeline with its Training document's training, checked as a whole.

        Raises
        ------
        NotFoundError
            No pipeline bears this name.
        ManifestError
            Parts that don't fit together, e.g. ``on_drift: retrain`` without any training.
        """
        if name not in self.pipelines:
            raise not_found("pipeline", name, self.pipelines)
        pipeline = self.pipelines[name]
        training = self.trainings.get(name)
        if training is not None and pipeline.training is not None:
            raise self._refuse(name, [Finding(("spec", "training"), "is given here and in a Training document")])
        try:
            whole = pipeline if training is None else merge(pipeline, training)
        except ValidationError as error:
            raise self._refuse(name, findings_in(error)) from None
        findings = whole_problems(whole)
        if findings:
            raise self._refuse(name, findings)
        return whole

    def _refuse(self, name: str, findings: Iterable[Finding]) -> ManifestError:
        return refuse([self._problem(name, finding) for finding in findings])

    def _problem(self, name: str, finding: Finding) -> Problem:
        """Place a finding in the file that holds that part: spec.training may be in a Training document."""
        kind, path = "FlywheelPipeline", finding.path
        if (
            path[:2] == ("spec", "training")
            and ("Training", name) in self.written
            and not self.pipelines[name].training
        ):
            kind, path = "Training", ("spec", *path[2:])
        written = self.written[kind, name]
        return place(Finding(path, finding.message), written.root, written.file)


def merge(pipeline: Pipeline, training: TrainingDocument) -> Pipeline:
    """Put a Training document's spec where ``spec.training`` would be, and check again."""
    spec = {name: getattr(pipeline.spec, name) for name in pipeline.spec.model_fields_set}
    parts = {name: getattr(pipeline, name) for name in pipeline.model_fields_set}
    return Pipeline.model_validate({**parts, "spec": {**spec, "training": training.spec}})


def refuse(problems: Iterable[Problem]) -> ManifestError:
    """Build the error that tells every problem, in the order of the lines."""
    ordered = sorted(set(problems))
    return ManifestError("\n".join(str(problem) for problem in ordered), problems=ordered)
