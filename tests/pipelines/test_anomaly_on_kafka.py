"""The bundled anomaly pipeline on a real broker: the seed's `kafka-metrics` and `incident-events` are topics, and give
what the same records and events give as files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from broker import Broker, Sent, tansu_broker
from metrics_week import NAME, PIPELINES, START, end_of
from plain import without_prefect

from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain
from flywheel.context import Connections, PipelineContext, open_pipeline
from flywheel.datasets.service_metrics import write_service_metrics
from flywheel.manifest.bundle import Bundle
from flywheel.manifest.documents import ModelServerSpec
from flywheel.manifest.load import load
from flywheel.metadata.revisions import Revisions
from flywheel.serving.server import ModelServer
from flywheel.workspace import Workspace

RECORDS = 2_000
TOPICS = {"kafka-metrics": ("metrics", "service-metrics"), "incident-events": ("incidents", "incident-events")}
FILES = [PIPELINES / f"{NAME}.yaml", PIPELINES / f"{NAME}.connections.yaml"]


@dataclass(frozen=True)
class Place:
    """The pipeline in a folder, with what its names stand for."""

    root: Path
    bundle: Bundle
    model_server: str = "127.0.0.1:1"

    @property
    def workspace(self) -> Workspace:
        return Workspace(home=self.root / ".flywheel")

    @property
    def context(self) -> PipelineContext:
        connections = Connections(
            sources={name: document.spec for name, document in self.bundle.sources.items()},
            sinks={name: document.spec for name, document in self.bundle.sinks.items()},
            model_servers={"model-server": ModelServerSpec(address=self.model_server)},
            storages=tuple(document.spec for document in self.bundle.storages.values()),
        )
        return open_pipeline(self.workspace, NAME, connections)

    def lines(self, folder: str) -> list[bytes]:
        files = sorted((self.root / ".flywheel" / "service-metrics" / folder).iterdir())
        return [line for file in files for line in file.read_bytes().splitlines()]

    def turn(self) -> None:
        """Score the day, and join the feedback on it."""
        with without_prefect(self):
            infer.fn(NAME, as_of=end_of(1))
            join_feedback.fn(NAME, as_of=end_of(2))

    def table(self, name: str) -> pl.DataFrame:
        table = getattr(self.context.tables, name)
        rows: pl.DataFrame = table.read(table.files())
        incidental = ["batch_id", "predicted_at", "date", "part", "row"]
        return rows.drop(incidental, strict=False).sort("prediction_id", "event_time")


@pytest.fixture(scope="module")
def on_files(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The pipeline with its first champion, and a short day that it has not read."""
    root = tmp_path_factory.mktemp("anomaly") / "files"
    place = Place(root, load(FILES))
    folder = place.workspace.home / "service-metrics"
    write_service_metrics(folder, 1, history_days=2)
    lines = place.lines("metrics")[:RECORDS]
    shutil.rmtree(folder / "metrics")
    (folder / "metrics").mkdir()
    (folder / "metrics" / "1.ndjson").write_bytes(b"\n".join([*lines, b"{oops", b""]))
    place.workspace.database().create()
    # A deadline of 100 ms is not for a machine that runs other tests beside this one.
    manifest = place.bundle.texts["FlywheelPipeline", NAME].replace("timeout_ms: 100", "timeout_ms: 20000")
    Revisions(place.workspace.database()).apply(NAME, manifest, place.bundle.texts["Training", NAME])
    with without_prefect(place):
        assert retrain.fn(NAME, as_of=START).outcome == "promoted"
    return place


@pytest.fixture
def on_topics(on_files: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    root = tmp_path / "topics"
    shutil.copytree(on_files.root, root)
    for folder, _topic in TOPICS.values():
        shutil.rmtree(root / ".flywheel" / "service-metrics" / folder)
    return Place(root, on_files.bundle)


def fill(broker: Broker, place: Place) -> None:
    """Make the topics, and send everything that is in the files."""
    for folder, topic in TOPICS.values():
        broker.make(topic, 3)
        broker.send(topic, [Sent(line, number % 3) for number, line in enumerate(place.lines(folder))])


def test_topics_give_what_files_give(
    on_files: Place, on_topics: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        tansu_broker(tmp_path / "tansu.log") as broker,
        ModelServer(on_files.context.registry, "127.0.0.1:0", poll_seconds=60) as server,
    ):
        fill(broker, on_files)
        monkeypatch.setenv("KAFKA_BROKERS", broker.address)
        topics = load([PIPELINES / "kafka"])
        assert set(topics.sources) == set(TOPICS)
        bundle = replace(on_topics.bundle, sources={**on_topics.bundle.sources, **topics.sources})
        files = replace(on_files, model_server=server.address)
        kafka = replace(on_topics, bundle=bundle, model_server=server.address)
        for place in (files, kafka):
            place.turn()
    for name in ("predictions", "quarantine", "feedback", "labels"):
        found, expected = kafka.table(name), files.table(name)
        assert expected.height > 0, name
        assert found.equals(expected), name
    assert kafka.table("predictions")["status"].unique().to_list() == ["ok"]
