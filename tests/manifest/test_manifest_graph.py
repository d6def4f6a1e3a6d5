"""The graph shows every part of a manifest by its own name, and draws it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.errors import FlywheelError
from flywheel.manifest.draw import draw
from flywheel.manifest.graph import Graph, pipeline_graph
from flywheel.manifest.graph_text import to_mermaid, to_text
from flywheel.manifest.load import load, parse
from flywheel.manifest.pipeline import Pipeline

PIPELINES = Path(__file__).parents[2] / "deployments" / "pipelines"
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    stages = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    sinks = draw(st.lists(NAMES, max_size=4, unique=True))
    drift = draw(st.booleans()) and len(stages) > 2
    extraction = [
        {
            "id": name,
            "type": "feature-extraction",
            "config": {"features": [{"name": f"x{position}", "source_field": "$.x"}]},
        }
        for position, name in enumerate(stages[1 + drift :])
    ]
    config = {"model_endpoint": "m:1", "model_id": draw(NAMES), "input_features": ["x0"]}
    ends = [{"id": stages[0], "type": "ml-inference", "config": config}]
    if drift:
        ends.append({"id": stages[1], "type": "drift-detection", "config": {}})
    spec = {
        "source": draw(NAMES),
        "prediction_id": "$.id",
        "stages": [*extraction, *ends],
        "sinks": [{"name": name, "condition": "status == 'ok'"} for name in sinks],
    }
    if draw(st.booleans()):
        labels = [{"event": "a", "label": "x"}, {"event": "b", "label": "y"}]
        spec["feedback"] = {"source": draw(NAMES), "join_key": "$.id", "labels": labels}
        if draw(st.booleans()):
            spec["training_export"] = {"destination_uri": "out"}
        if draw(st.booleans()):
            spec["training"] = {"task": "classification", "algorithm": "sgd", "target": "x"}
    document = {"apiVersion": "flywheel-ml.io/v1", "kind": "FlywheelPipeline"}
    return Pipeline.model_validate({**document, "metadata": {"name": draw(NAMES)}, "spec": spec})


def stage_ids(pipeline: Pipeline, kind: str) -> list[str]:
    return [stage.id for stage in pipeline.spec.stages if stage.type == kind]


@given(pipelines())
@settings(deadline=None, max_examples=60)
def test_the_manifest_can_be_read_back_from_its_graph(pipeline: Pipeline) -> None:
    graph = pipeline_graph(pipeline)
    assert graph.name == pipeline.name
    assert graph.names("source") == [pipeline.spec.source]
    assert graph.names("features") == stage_ids(pipeline, "feature-extraction")
    assert graph.names("inference") == stage_ids(pipeline, "ml-inference")
    assert graph.names("model") == [pipeline.inference.model_id]
    assert graph.names("drift") == stage_ids(pipeline, "drift-detection")
    assert graph.names("sink") == [sink.name for sink in pipeline.spec.sinks]
    assert graph.names("feedback") == ([pipeline.feedback.source] if pipeline.feedback else [])
    assert len(graph.names("export")) == (pipeline.export is not None)
    assert len(graph.names("promote")) == (pipeline.training is not None)


@given(pipelines())
@settings(deadline=None, max_examples=60)
def test_every_edge_joins_nodes_and_every_node_is_shown(pipeline: Pipeline) -> None:
    graph = pipeline_graph(pipeline)
    ids = [node.id for node in graph.nodes]
    assert len(set(ids)) == len(ids)
    assert {end for edge in graph.edges for end in (edge.start, edge.end)} == set(ids)
    text, mermaid = to_text(graph), to_mermaid(graph)
    for node in graph.nodes:
        assert node.name in text
        assert f'"{node.name}' in mermaid
    assert mermaid.count("-->") + mermaid.count("-.->") == len(graph.edges)


def whole_graph(whole_text: str) -> Graph:
    return pipeline_graph(parse(whole_text).pipeline("whole"))


def test_the_loop_closes(whole_text: str) -> None:
    graph = whole_graph(whole_text)
    ways = {(edge.start, edge.end) for edge in graph.edges}
    kinds = {node.kind: node.id for node in graph.nodes}
    loop = ["inference", "log", "labels", "export", "retrain", "promote", "model", "inference"]
    assert all((kinds[start], kinds[end]) in ways for start, end in pairwise(loop))
    assert (kinds["drift"], kinds["retrain"]) in ways


def test_the_tree_for_the_terminal() -> None:
    pipeline = load([PIPELINES / "anomaly-detection.yaml"]).pipeline("anomaly-detection")
    assert (
        to_text(pipeline_graph(pipeline))
        == """\
anomaly-detection

kafka-metrics  (source)
└─ features  (feature-extraction · cpu_usage, error_rate)
   └─ inference  (ml-inference · fallback: passthrough)
      └─ prediction log
         ├─ alertmanager  (sink · anomaly_prediction.is_anomaly && anomaly_prediction.score > 0.8)
         ├─ analytics  (sink · all rows)
         ├─ drift-monitor  (drift-detection · psi 0.25, kl_divergence 0.1; shadow: alert)
         └─ labels  (feedback-join · anomaly, normal)
            └─ training export  (sampling: stratified)

isolation-forest-v3  (model · model-server:50051)
└─ inference ↑

incident-events  (feedback)
└─ labels ↑
"""
    )


def test_mermaid_takes_any_condition(whole_text: str) -> None:
    graph = pipeline_graph(parse(whole_text.replace("== 'nl'", '== "nl#<b>"')).pipeline("whole"))
    assert "prediction.score #gt; 0.9 #amp;#amp; country == #quot;nl#35;#lt;b#gt;#quot;" in to_mermaid(graph)


@pytest.mark.parametrize("ending", [".png", ".svg", ".mmd", ".txt"])
def test_pictures_are_the_same_every_time(tmp_path: Path, whole_text: str, ending: str) -> None:
    graph = whole_graph(whole_text)
    first, second = tmp_path / "new" / f"a{ending}", tmp_path / f"b{ending}"
    draw(graph, first)
    draw(graph, second)
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 500


def test_another_ending(tmp_path: Path, whole_text: str) -> None:
    with pytest.raises(FlywheelError, match=r"end its name in \.svg, \.png, \.mmd or \.txt"):
        draw(whole_graph(whole_text), tmp_path / "graph.gif")
    assert list(tmp_path.iterdir()) == []
