"""What is Kafka's own about the Kafka source; what every source must do is in test_source_conformance.py."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from broker import Broker, Sent, forgetful_broker, free_port, tansu_broker
from confluent_kafka import KafkaError
from kafka_place import KafkaPlace
from source_places import LATER, Reader, record

from flywheel.errors import ManifestError
from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import KafkaSourceSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.load import parse
from flywheel.sources.base import Progress, Slice, Source, SourceDownError, SourceError
from flywheel.sources.kafka_client import Fetch, connected
from flywheel.sources.kafka_failed import failed
from flywheel.sources.open import open_source

ID = JsonPath("$.id")


def sent(number: int, partition: int = 0, **fields: Any) -> Sent:
    return Sent(json.dumps(record(number, **fields)).encode(), partition)


@pytest.fixture
def kafka(broker: Broker) -> KafkaPlace:
    return KafkaPlace(broker)


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Broker]:
    with forgetful_broker() as running:
        yield running


def test_bad_values_cost_one_row_each(kafka: KafkaPlace) -> None:
    bad = [b"{oops", None, b"", b'{"id": "\xff"}', b"[1]", b"null", b"x" * 12_000_000]
    kafka.send([sent(0), *(Sent(value) for value in bad), sent(8)])
    reader = Reader(kafka)
    records = kafka.source().read(reader.plan(), [ID])
    assert records.errors.to_list() == [
        None,
        "is not valid JSON",
        "has no value (a tombstone)",
        "is not valid JSON",
        "is not valid UTF-8",
        "is JSON, but not an object",
        "is JSON, but not an object",
        "is not valid JSON",
        None,
    ]
    assert records.values["$.id"].to_list()[::8] == ["r0", "r8"]
    shown = records.raw_json(pl.Series([True] * 9))
    assert shown.to_list()[1:6] == ["{oops", None, "", '{"id": "\ufffd"}', "[1]"]


def test_key_headers_and_place_have_reserved_names(kafka: KafkaPlace) -> None:
    headers = [("trace", b"old"), ("trace", b"new"), ("a b", None)]
    kafka.send(
        [
            Sent(b'{"kafka": {"key": "own"}, "key": "mine"}', 2, b"k", headers, 1_356_998_400_123),
            Sent(b"{}", 2, b"\xff"),
        ]
    )
    names = ["$['kafka.key']", "$['kafka.timestamp']", "$['kafka.partition']", "$['kafka.offset']"]
    names += ["$['kafka.headers'].trace", "$['kafka.headers']['a b']", "$.kafka.key", "$.key"]
    reader = Reader(kafka, received_at="$['kafka.timestamp']")
    found = kafka.source().read(reader.plan(), [JsonPath(name) for name in names]).values
    first = datetime(2013, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    assert found.row(0) == ("k", first, 2, 0, "new", None, "own", "mine")
    assert found.row(1) == (None, datetime(2013, 1, 1, tzinfo=UTC), 2, 1, None, None, None, None)


def test_the_messages_time_can_decide_what_is_seen(kafka: KafkaPlace) -> None:
    kafka.send([Sent(b'{"id": "a"}', millis=1_356_998_400_000), Sent(b'{"id": "b"}', millis=1_400_000_000_000)])
    reader = Reader(kafka, received_at="$['kafka.timestamp']")
    assert reader.drain(datetime(2013, 1, 2, tzinfo=UTC)) == ["a"]
    assert reader.drain() == ["b"]


def test_partitions_share_a_batch_and_what_one_leaves_goes_to_the_others(kafka: KafkaPlace) -> None:
    kafka.send([*(sent(i, 0) for i in range(50)), *(sent(i, 1) for i in range(2)), *(sent(i, 2) for i in range(50))])
    rows = [{piece.part[-1]: piece.rows for piece in Reader(kafka).plan(max_rows=20)}]
    assert rows == [{"0": 9, "1": 2, "2": 9}]


def test_no_partition_starves_when_there_are_fewer_rows_than_partitions(kafka: KafkaPlace) -> None:
    kafka.send([sent(i, partition) for partition in range(3) for i in range(4)])
    reader = Reader(kafka)
    assert [reader.plan(max_rows=1)[0].part[-1] for _ in range(6)] == ["0", "1", "2", "0", "1", "2"]


def test_transactions_leave_gaps_that_are_no_rows(kafka: KafkaPlace) -> None:
    for turn, commit in enumerate([True, False, True]):
        kafka.broker.send_in_transaction(kafka.topic, [sent(2 * turn), sent(2 * turn + 1)], commit=commit)
    reader = Reader(kafka)
    assert set(reader.drain(max_rows=3)) >= {"r0", "r1", "r4", "r5"}
    stops = [piece.stop for batch in reader.batches for piece in batch]
    assert stops[-1] < kafka.broker.bounds(kafka.topic)[1]
    assert reader.plan() == []


def test_latest_begins_at_the_end_and_a_later_partition_at_its_beginning(broker: Broker, kafka: KafkaPlace) -> None:
    old = [sent(i, i % 3) for i in range(9)]
    kafka.send(old)
    reader = Reader(kafka, start="latest")
    assert [piece.rows for piece in reader.plan()] == [0, 0, 0]
    assert reader.values(reader.batches[0]) == []
    # tansu can't add a partition: the same topic made anew with one more looks no different.
    broker.drop(kafka.topic)
    broker.make(kafka.topic, 4)
    kafka.send([*old, sent(20, 0), sent(21, 3)])
    assert reader.drain() == ["r20", "r21"]


def test_a_topic_made_anew_is_not_taken_for_the_old_one(broker: Broker, kafka: KafkaPlace) -> None:
    kafka.send([sent(i) for i in range(9)])
    reader = Reader(kafka)
    slices = reader.plan()
    broker.drop(kafka.topic)
    broker.make(kafka.topic, 3)
    kafka.send([sent(i) for i in range(4)])
    with pytest.raises(SourceError, match="up to offset 8 already, but there is only 0 to 3") as error:
        reader.plan()
    assert "another name" in error.value.next_step
    with pytest.raises(SourceError, match="of the 9 rows planned from offsets 0 to 8, 0 are left"):
        reader.values(slices)


def test_what_retention_took_is_named(forgetful: Broker) -> None:
    filler = "x" * 100_000
    forgetful.send("kept", [sent(i) for i in range(10)])
    place = _existing(forgetful, "kept")
    first = place.plan({}, LATER, 6)
    assert [(piece.after, piece.mark) for piece in first if piece.rows] == [("0", "6")]
    forgetful.send("kept", [sent(i, note=filler) for i in range(10, 130)])
    low, high = forgetful.bounds("kept")
    done = {piece.part: Progress(rows=piece.stop, mark=piece.mark) for piece in first}
    with pytest.raises(SourceError, match=f"kept-0: offsets 6 to {low - 1} are gone, and were never read") as plan:
        place.plan(done, LATER, 10)
    assert f"goes on at offset {low}" in plan.value.next_step
    with pytest.raises(SourceError, match="offsets 0 to 5 are gone") as read:
        place.read(first, [ID])
    assert "stays planned" in read.value.state
    skipping = _existing(forgetful, "kept", on_truncation="skip").plan(done, LATER, 5)
    assert skipping == [Slice(part="kept-0", start=6, stop=11, after=str(low), mark=str(low + 5))]
    assert place.read(skipping, [ID]).rows.to_list() == [6, 7, 8, 9, 10]
    assert high == 130


def test_a_broker_that_is_down_is_named_in_good_time() -> None:
    spec = KafkaSourceSpec(
        type="kafka", bootstrap_servers=f"127.0.0.1:{free_port()}", topic="metrics", timeout_seconds=0.5
    )
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"the Kafka topic 'metrics' at 127\.0\.0\.1:.* failed: .*") as error:
        open_source(spec, StorageMap()).plan({}, LATER, 10)
    assert time.monotonic() - started < 5
    assert "Connection refused" in error.value.what
    assert "bootstrap_servers" in error.value.next_step


def test_a_broker_that_dies_is_waited_for_no_longer_than_agreed(tmp_path: Path) -> None:
    with tansu_broker(tmp_path / "tansu.log") as broker:
        broker.make("metrics")
        broker.send("metrics", [sent(i) for i in range(5)])
        source = _existing(broker, "metrics", timeout_seconds=1)
        slices = source.plan({}, LATER, 10)
        with connected(_spec(broker, "metrics", timeout_seconds=1)) as topic:
            assert topic.partitions() == [0]
            os.kill(broker.process, signal.SIGKILL)
            with pytest.raises(SourceError, match="no answer in 1 s"):
                topic.fetch([Fetch(0, 0, 10)])
    with pytest.raises(SourceError, match=r"'metrics' at .* failed"):
        source.read(slices, [ID])


def test_what_a_client_says_that_has_lost_its_broker_may_pass(broker: Broker) -> None:
    """It is asked again; a client that was refused is not."""
    spec = _spec(broker, "metrics")
    lost, down, refused = KafkaError._UNKNOWN_PARTITION, KafkaError._ALL_BROKERS_DOWN, KafkaError._AUTHENTICATION
    assert isinstance(failed(spec, KafkaError(lost), [KafkaError(down)]), SourceDownError)
    assert not isinstance(failed(spec, KafkaError(lost)), SourceDownError)
    told = failed(spec, KafkaError(KafkaError._TRANSPORT), [KafkaError(down), KafkaError(refused, "no such user")])
    assert not isinstance(told, SourceDownError)
    assert "no such user" in told.what
    assert "security" in told.next_step


def test_an_unreadable_certificate_is_a_clear_error(broker: Broker) -> None:
    security = {"protocol": "SSL", "ssl_ca_location": "/nowhere/ca.pem"}
    with pytest.raises(SourceError, match="ca"):
        _existing(broker, "metrics", security=security).plan({}, LATER, 10)


def test_an_unknown_topic_is_named(broker: Broker) -> None:
    with pytest.raises(SourceError, match=r"'nowhere' .* failed: .*[Uu]nknown topic"):
        _existing(broker, "nowhere").plan({}, LATER, 10)


def test_nothing_is_committed_to_the_broker(kafka: KafkaPlace) -> None:
    from confluent_kafka import Consumer, TopicPartition

    kafka.send([sent(0)])
    assert Reader(kafka).drain() == ["r0"]
    consumer = Consumer({"bootstrap.servers": kafka.broker.address, "group.id": "flywheel"})
    (found,) = consumer.committed([TopicPartition(kafka.topic, 0)], 5)
    consumer.close()
    assert found.offset < 0


def test_a_missing_client_says_what_to_install(kafka: KafkaPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(SourceError, match=r"not installed[\s\S]*pip install 'flywheel-batch\[kafka\]'"):
        kafka.source().plan({}, LATER, 10)


def test_secrets_come_from_the_environment_and_stay_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "s3cret-marked")
    text = """
apiVersion: flywheel-ml.io/v1
kind: Source
metadata: {name: kafka-metrics}
spec:
  type: kafka
  bootstrap_servers: 127.0.0.1:1
  topic: metrics
  timeout_seconds: 0.3
  security:
    protocol: SASL_PLAINTEXT
    sasl_mechanism: SCRAM-SHA-512
    sasl_username: flywheel
    sasl_password: ${KAFKA_PASSWORD}
"""
    spec = parse(text, "kafka.yaml").sources["kafka-metrics"].spec
    assert isinstance(spec, KafkaSourceSpec)
    assert spec.security.sasl_password is not None
    assert spec.security.sasl_password.get_secret_value() == "s3cret-marked"
    with pytest.raises(SourceError) as error:
        open_source(spec, StorageMap()).plan({}, LATER, 10)
    assert "s3cret" not in repr(spec) + str(error.value)
    with pytest.raises(ManifestError, match="protocol"):
        parse(text.replace("SASL_PLAINTEXT", "SASL_PLAIN"), "kafka.yaml")


def _spec(broker: Broker, topic: str, **fields: Any) -> KafkaSourceSpec:
    given = {"type": "kafka", "bootstrap_servers": broker.address, "topic": topic, "timeout_seconds": 5, **fields}
    return KafkaSourceSpec.model_validate(given)


def _existing(broker: Broker, topic: str, **fields: Any) -> Source:
    return open_source(_spec(broker, topic, **fields), StorageMap())
