"""A pipeline whose records and feedback come from Kafka: the same rows as from files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka_parcels import PARTITIONS, KafkaParcels, Sent, tansu_broker
from parcels import Parcels, end_of, known_after
from plain import run

from flows.infer import infer
from flows.join_feedback import join_feedback


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
