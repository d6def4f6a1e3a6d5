"""Documents that belong together, and what can be wrong between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from pydantic import ValidationError

from flywheel.errors import ManifestError, did_you_mean, not_found
from flywheel.manifest.checks import whole_problems
from flywheel.manifest.connections import NamedConnection, named_connections
from flywheel.manifest.documents import (
    Document,
    ModelServerDocument,
    SinkDocument,
    SourceDocument,
    StorageDocument,
    TrainingDocument,
)
from flywheel.manifest.explain import document_in, findings_in, place
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

    def pipeline(self, name: str, context: str | None = None) -> Pipeline:
        """Return the pipeline with its Training document's training, checked as a whole; ``context``: see ``APPLIED``.

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
            whole = pipeline if training is None else merge(pipeline, training, context)
        except ValidationError as error:
            # Valid parts that don't fit together: what is missing beside them is told at once too.
            built = document_in(error)
            missing = whole_problems(built) if isinstance(built, Pipeline) else []
            raise self._refuse(name, [*findings_in(error), *missing]) from None
        findings = whole_problems(whole)
        if findings:
            raise self._refuse(name, findings)
        return whole

    def whole_problems(self) -> list[Problem]:
        """What is wrong between documents that are each valid, in every pipeline."""
        problems = [problem for name in self.pipelines for problem in self._problems_of(name)]
        for name in self.trainings:
            if name not in self.pipelines:
                hint = did_you_mean(name, self.pipelines)
                message = f"is no pipeline of these files{hint}; a Training goes with the pipeline of its name"
                problems.append(self._placed("Training", name, Finding(("metadata", "name"), message)))
        return problems

    def unknown_connections(self, known: Mapping[str, Iterable[str]]) -> list[Problem]:
        """What pipelines name that is neither a document here nor, by kind, among the names ``known``."""
        places: dict[str, Iterable[str]] = {
            "Source": self.sources,
            "Sink": self.sinks,
            "ModelServer": self.model_servers,
        }
        names = {kind: {*documents, *known.get(kind, ())} for kind, documents in places.items()}
        return [
            self._problem(name, Finding(each.path, _unknown(each, names[each.kind])))
            for name in self.pipelines
            for each in named_connections(self.pipeline(name))
            if each.name not in names[each.kind] and not each.may_be_absent
        ]

    def _problems_of(self, name: str) -> Sequence[Problem]:
        try:
            self.pipeline(name)
        except ManifestError as error:
            return error.problems
        return ()

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
        return self._placed(kind, name, Finding(path, finding.message))

    def _placed(self, kind: str, name: str, finding: Finding) -> Problem:
        written = self.written[kind, name]
        return place(finding, written.root, written.file)


def _unknown(connection: NamedConnection, known: Iterable[str]) -> str:
    hint = did_you_mean(connection.name, known)
    return f"is no {connection.kind} in these files or in the workspace{hint}; give its document too: -f PATH"


def merge(pipeline: Pipeline, training: TrainingDocument, context: str | None = None) -> Pipeline:
    """Put a Training document's spec where ``spec.training`` would be, and check again."""
    spec = {name: getattr(pipeline.spec, name) for name in pipeline.spec.model_fields_set}
    parts = {name: getattr(pipeline, name) for name in pipeline.model_fields_set}
    return Pipeline.model_validate({**parts, "spec": {**spec, "training": training.spec}}, context=context)


def refuse(problems: Iterable[Problem]) -> ManifestError:
    """Build the error that tells every problem, in the order of the lines."""
    ordered = sorted(set(problems))
    return ManifestError("\n".join(str(problem) for problem in ordered), problems=ordered)
