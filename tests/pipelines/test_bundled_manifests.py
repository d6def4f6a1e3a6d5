"""The manifests that come with Flywheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from flywheel.manifest.draw import draw
from flywheel.manifest.graph import pipeline_graph
from flywheel.manifest.graph_text import to_text
from flywheel.manifest.load import load

PIPELINES = Path(__file__).parents[2] / "deployments" / "pipelines"


@pytest.mark.parametrize("name", ["anomaly-detection", "flight-delays"])
def test_a_bundled_pipeline_is_whole_and_can_be_drawn(name: str, tmp_path: Path) -> None:
    pipeline = load([PIPELINES]).pipeline(name)
    graph = pipeline_graph(pipeline)
    assert graph.names("promote") == ["promote"]
    for sink in pipeline.spec.sinks:
        assert sink.name in to_text(graph)
    draw(graph, tmp_path / "dag.png")
    assert (tmp_path / "dag.png").read_bytes().startswith(b"\x89PNG")


def test_the_seeds_manifest_alone_can_be_drawn_too() -> None:
    graph = pipeline_graph(load([PIPELINES / "anomaly-detection.yaml"]).pipeline("anomaly-detection"))
    assert graph.names("sink") == ["alertmanager", "analytics"]
    assert not graph.names("retrain")


def test_the_names_in_a_bundled_pipeline_are_documents_beside_it() -> None:
    bundle = load([PIPELINES])
    for name in bundle.pipelines:
        pipeline = bundle.pipeline(name)
        assert pipeline.spec.source in bundle.sources
        assert pipeline.feedback is not None
        assert pipeline.feedback.source in bundle.sources
        assert {sink.name for sink in pipeline.spec.sinks} <= set(bundle.sinks)
        assert pipeline.inference.model_endpoint.partition(":")[0] in bundle.model_servers
