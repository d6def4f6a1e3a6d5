"""The connections that a pipeline names: documents of other kinds, in the same files or in the workspace already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from flywheel.manifest.pipeline import FeedbackStage, InferenceStage, Pipeline
from flywheel.manifest.problems import Path


class NamedConnection(NamedTuple):
    """A document that a pipeline names, and where it does.

    ``may_be_absent`` is for what need not be a document: a model server is its own address then.
    """

    kind: str
    name: str
    path: Path
    may_be_absent: bool = False


def named_connections(pipeline: Pipeline) -> Iterator[NamedConnection]:
    """Yield everything that a pipeline names by kind and name."""
    spec = pipeline.spec
    yield NamedConnection("Source", spec.source, ("spec", "source"))
    if spec.feedback is not None:
        yield NamedConnection("Source", spec.feedback.source, ("spec", "feedback", "source"))
    if spec.training is not None and spec.training.bootstrap is not None:
        yield NamedConnection("Source", spec.training.bootstrap.source, ("spec", "training", "bootstrap", "source"))
    for index, sink in enumerate(spec.sinks):
        yield NamedConnection("Sink", sink.name, ("spec", "sinks", index, "name"))
    for index, stage in enumerate(spec.stages):
        config: Path = ("spec", "stages", index, "config")
        if isinstance(stage, FeedbackStage):
            yield NamedConnection("Source", stage.config.source, (*config, "source"))
        if isinstance(stage, InferenceStage):
            server = stage.config.model_endpoint.partition(":")[0]
            yield NamedConnection("ModelServer", server, (*config, "model_endpoint"), may_be_absent=True)
