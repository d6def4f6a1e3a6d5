"""A pipeline whose records and feedback come from Kafka: the same rows as from files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import pytest
from parcels import NAME, Parcels, end_of, known_after
from plain import run

from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.context import PipelineContext, open_pipeline
from flywheel.manifest.documents import KafkaSourceSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))

from broker import Broker, Sent, tansu_broker  # where the broker of all tests is

PARTITIONS = 3


@dataclass(frozen=True)
class KafkaParcels(Parcels):
    """Parcels whose records and events are topics."""

    broker: Broker = field(kw_only=True)

    @property
    def context(self) -> PipelineContext:
        found = super().context.connections
        topics = {name: self._topic(name) for name in ("parcels", "deliveries")}
        return open_pipeline(self.workspace, NAME, replace(found, sources={**found.sources, **topics}))

    def records(self, file: str, parcels: pl.DataFrame) -> None:
        self._send("parcels", parcels.drop("minutes_late"))

    def events(self, file: str, events: pl.DataFrame) -> None:
        self._send("deliveries", events)

    def _send(self, topic: str, rows: pl.DataFrame) -> None:
        lines = rows.write_ndjson().encode().splitlines()
        self.broker.send(topic, [Sent(line, i % PARTITIONS) for i, line in enumerate(lines)])

    def _topic(self, name: str) -> KafkaSourceSpec:
        return KafkaSourceSpec(type="kafka", bootstrap_servers=self.broker.address, topic=name)


@pytest.fixture
def topics(parcels: Parcels, tmp_path: Path) -> Iterator[KafkaParcels]:
    with tansu_broker(tmp_path / "tansu.log") as broker:
        for name in ("parcels", "deliveries"):
            broker.make(name, PARTITIONS)
        yield KafkaParcels(parcels.copy(tmp_path / "kafka").root, parcels.address, broker=broker)


def test_topics_give_what_files_give(parcels: Parcels, topics: KafkaParcels) -> None:
    for day in (1, 2):
        for place in (parcels, topics):
            place.day(day)
            run(infer, place, end_of(day))
            run(join_feedback, place, known_after(day))
    topics.broker.send("parcels", [Sent(None), Sent(b"{oops")])
    run(infer, topics, end_of(3))
    for name, rows in (("predictions", 400), ("labels", 400)):
        found, expected = topics.table(name), parcels.table(name)
        assert found.height == rows
        incidental = ["predicted_at"] if name == "predictions" else []
        assert found.drop(incidental).equals(expected.drop(incidental))
    assert topics.archive().height == 400
    assert sorted(topics.table("quarantine")["reason"]) == ["has no value (a tombstone)", "is not valid JSON"]
