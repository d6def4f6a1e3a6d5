"""A pipeline as a graph: what runs, what it reads and writes, and how the loop closes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from flywheel.manifest.drift import DriftConfig
from flywheel.manifest.feedback import FeedbackConfig
from flywheel.manifest.pipeline import FeatureStage, Pipeline

Kind = Literal[
    "source", "features", "inference", "model", "log", "sink", "feedback", "labels", "drift", "export", "retrain",
    "promote",
]  # fmt: skip


@dataclass(frozen=True)
class GraphNode:
    """One step or store; ``name`` is the manifest's own, ``detail`` what a reader wants to know of it."""

    kind: Kind
    name: str
    detail: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class GraphEdge:
    """Data, or with ``closes_loop`` a decision or a model, that goes from one node to another."""

    start: str
    end: str
    label: str = ""
    closes_loop: bool = False


@dataclass(frozen=True)
class Graph:
    """The nodes in the order in which data meets them."""

    name: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]

    def names(self, kind: Kind) -> list[str]:
        """The names of the nodes of a kind, in the manifest's order."""
        return [node.name for node in self.nodes if node.kind == kind]

    def leaving(self, node: GraphNode) -> list[GraphEdge]:
        return [edge for edge in self.edges if edge.start == node.id]

    def node(self, node_id: str) -> GraphNode:
        return next(node for node in self.nodes if node.id == node_id)


def pipeline_graph(pipeline: Pipeline) -> Graph:
    """Draw up the graph of a pipeline with the parts that it has.

    >>> from flywheel.manifest.load import parse
    >>> bundle = parse('''
    ... apiVersion: flywheel-ml.io/v1
    ... kind: FlywheelPipeline
    ... metadata: {name: tiny}
    ... spec:
    ...   source: events
    ...   prediction_id: $.id
    ...   stages:
    ...     - {id: get, type: feature-extraction, config: {features: [{name: x, source_field: $.x}]}}
    ...     - {id: ask, type: ml-inference, config: {model_endpoint: m, model_id: m-1, input_features: [x]}}
    ... ''')
    >>> [edge.end for edge in pipeline_graph(bundle.pipeline("tiny")).edges]
    ['features:get', 'inference:ask', 'log:prediction log', 'inference:ask']
    """
    nodes = _nodes(pipeline)
    by_kind = {node.kind: node for node in nodes}
    return Graph(pipeline.name, tuple(nodes), (*_flow(pipeline, nodes, by_kind), *_loop(pipeline, by_kind)))


def _nodes(pipeline: Pipeline) -> list[GraphNode]:
    inference, spec = pipeline.inference, pipeline.spec
    extraction = [stage for stage in spec.stages if isinstance(stage, FeatureStage)]
    nodes = [GraphNode("source", spec.source)]
    nodes += [GraphNode("features", stage.id, _features(stage)) for stage in extraction]
    nodes.append(GraphNode("inference", _stage_id(pipeline, "ml-inference"), f"fallback: {inference.fallback}"))
    nodes.append(GraphNode("model", inference.model_id, inference.model_endpoint))
    nodes.append(GraphNode("log", "prediction log"))
    nodes += [GraphNode("sink", sink.name, str(sink.condition or "all rows")) for sink in spec.sinks]
    if pipeline.drift is not None:
        nodes.append(GraphNode("drift", _stage_id(pipeline, "drift-detection"), _drift(pipeline.drift)))
    if pipeline.feedback is not None:
        nodes.append(GraphNode("feedback", pipeline.feedback.source))
        nodes.append(GraphNode("labels", "labels", _labels(pipeline.feedback)))
    if pipeline.export is not None:
        nodes.append(GraphNode("export", "training export", f"sampling: {pipeline.export.sampling.strategy}"))
    if pipeline.training is not None:
        training = pipeline.training
        nodes.append(GraphNode("retrain", "retrain", training.algorithm))
        nodes.append(GraphNode("promote", "promote", f"{training.promotion}, by {training.gate.metric}"))
    return nodes


def _flow(pipeline: Pipeline, nodes: list[GraphNode], by_kind: dict[Kind, GraphNode]) -> Iterator[GraphEdge]:
    """From the source to the sinks."""
    path = [node for node in nodes if node.kind in ("source", "features", "inference", "log")]
    for node, following in pairwise(path):
        yield GraphEdge(node.id, following.id)
    yield GraphEdge(by_kind["model"].id, by_kind["inference"].id, "answers")
    conditions = {sink.name: "all rows" if sink.all else "if" for sink in pipeline.spec.sinks}
    for node in nodes:
        if node.kind == "sink":
            yield GraphEdge(by_kind["log"].id, node.id, conditions[node.name])


def _loop(pipeline: Pipeline, by_kind: dict[Kind, GraphNode]) -> Iterator[GraphEdge]:
    """From the prediction log back to the model."""
    steps: list[tuple[Kind, Kind, str, bool]] = [
        ("log", "drift", "profiles", False),
        ("log", "labels", "join", False),
        ("feedback", "labels", "events", False),
        ("labels", "export", "", False),
        ("export", "retrain", "", False) if "export" in by_kind else ("labels", "retrain", "", False),
        ("retrain", "promote", "candidate", True),
        ("promote", "model", "champion", True),
    ]
    if pipeline.drift is not None and pipeline.drift.mode == "blocking" and pipeline.drift.on_drift != "alert":
        target: Kind = "retrain" if pipeline.drift.on_drift == "retrain" else "inference"
        steps.append(("drift", target, f"on drift: {pipeline.drift.on_drift}", True))
    for start, end, label, closes_loop in steps:
        if start in by_kind and end in by_kind:
            yield GraphEdge(by_kind[start].id, by_kind[end].id, label, closes_loop)


def _stage_id(pipeline: Pipeline, kind: str) -> str:
    return next(stage.id for stage in pipeline.spec.stages if stage.type == kind)


def _features(stage: FeatureStage) -> str:
    names = [feature.name for feature in stage.config.features]
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _labels(feedback: FeedbackConfig) -> str:
    labels = dict.fromkeys(rule.label_text or "as the event says" for rule in feedback.labels)
    return ", ".join(labels)


def _drift(drift: DriftConfig) -> str:
    limits = [f"{measure} {limit:g}" for measure, limit in (drift.thresholds or {}).items()]
    if drift.budget_decides:
        limits.append(f"{drift.budget} false alarms")
    return f"{', '.join(limits)}; {drift.mode}: {drift.on_drift}"
