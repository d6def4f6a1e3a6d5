"""A connection to Kafka that belongs to no consumer group: it looks at offsets, and never moves any."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flywheel.manifest.documents import KafkaSourceSpec
from flywheel.sources.base import SourceError
from flywheel.sources.kafka_failed import failed, refusal
from flywheel.sources.kafka_settings import client_settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message
    from confluent_kafka.admin._metadata import TopicMetadata

_AT_ONCE = 10_000
_POLL_SECONDS = 0.2
_ASK_SECONDS = 1.0


@dataclass(frozen=True)
class Bounds:
    """The offsets a partition has now: from ``low`` to below ``high``."""

    low: int
    high: int


@dataclass
class Fetch:
    """Up to ``limit`` messages of a partition from offset ``begin`` on, and those found so far.

    Where the partition ends is ``end``; None until it has come to that.
    """

    partition: int
    begin: int
    limit: int
    messages: list[Message] = field(default_factory=list)
    end: int | None = None

    @property
    def finished(self) -> bool:
        return self.end is not None or len(self.messages) >= self.limit


def offset_of(message: Message) -> int:
    """The offset of a message that was consumed, which has one."""
    return cast(int, message.offset())


class KafkaTopic:
    """A topic on an open connection; every wait is bounded by the spec's ``timeout_seconds``."""

    def __init__(self, consumer: Consumer, spec: KafkaSourceSpec, complaints: list[KafkaError]) -> None:
        self._consumer = consumer
        self._spec = spec
        self._complaints = complaints

    def partitions(self) -> list[int]:
        """The partitions that the topic has now."""
        topic = self._topic()
        if topic.error is not None:
            raise failed(self._spec, topic.error, self._complaints)
        return sorted(topic.partitions)

    def _topic(self) -> TopicMetadata:
        """Ask for the topic in short turns: a client that was refused would knock again and again until the end."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + self._spec.timeout_seconds
        while True:
            left = max(0.1, deadline - time.monotonic())
            try:
                found = self._consumer.list_topics(self._spec.topic, min(_ASK_SECONDS, left))
                return cast("TopicMetadata", found.topics[self._spec.topic])
            except KafkaException:
                self._consumer.poll(0)  # hands over what the `complaints` are still to hear
                if refusal(self._complaints) or time.monotonic() >= deadline:
                    raise

    def bounds(self, partition: int, reached: int = 0) -> Bounds:
        """Ask the broker, not the cache; an answer that ends before ``reached`` is looked into.

        Some brokers give the beginning of the last batch of messages for the end.
        """
        from confluent_kafka import TopicPartition

        asked = TopicPartition(self._spec.topic, partition)
        found = self._consumer.get_watermark_offsets(asked, self._spec.timeout_seconds)
        if not found:
            raise self._silent()
        low, high = found
        return Bounds(low, high if high >= reached else self.end(partition, high))

    def end(self, partition: int, high: int) -> int:
        """The offset after the last message, which is not before ``high``."""
        last = Fetch(partition, high, sys.maxsize)
        self.fetch([last])
        return max(high, last.end or 0)

    def fetch(self, fetches: Sequence[Fetch]) -> None:
        """Fill the fetches, each up to its limit or to where its partition ends as of now."""
        from confluent_kafka import TopicPartition

        active = {one.partition: one for one in fetches if one.limit}
        self._consumer.assign([TopicPartition(self._spec.topic, one.partition, one.begin) for one in active.values()])
        deadline = time.monotonic() + self._spec.timeout_seconds
        while active:
            # The client waits for all that it is asked for: one message, then those that have come along with it.
            for message in [*self._consumer.consume(1, _POLL_SECONDS), *self._consumer.consume(_AT_ONCE, 0)]:
                deadline = time.monotonic() + self._spec.timeout_seconds
                one = active.get(cast(int, message.partition()))
                if message.error() is not None:
                    self._note(message, one)
                elif one is not None and not one.finished:
                    one.messages.append(message)
            ended = [TopicPartition(self._spec.topic, number) for number, one in active.items() if one.finished]
            if ended:
                self._consumer.incremental_unassign(ended)
                active = {number: one for number, one in active.items() if not one.finished}
            if active and time.monotonic() > deadline:
                raise self._silent()

    def _note(self, message: Message, one: Fetch | None) -> None:
        """Take an event among the messages: an end (also one that retention has just moved), or an error."""
        from confluent_kafka import KafkaError

        error = cast("KafkaError", message.error())
        if error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET):
            if one is not None and not one.finished:
                one.end = offset_of(message)
        elif error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
            self._complaints.append(error)
        else:
            raise failed(self._spec, error, self._complaints)

    def _silent(self) -> SourceError:
        from confluent_kafka import KafkaError

        silence = KafkaError(KafkaError._TIMED_OUT, f"no answer in {self._spec.timeout_seconds:g} s")
        return failed(self._spec, silence, self._complaints)


@contextmanager
def connected(spec: KafkaSourceSpec) -> Iterator[KafkaTopic]:
    """Connect to the topic; what goes wrong with it is a ``SourceError``."""
    try:
        from confluent_kafka import Consumer, KafkaException
    except ImportError as error:
        raise SourceError(
            "the Kafka source needs the package confluent-kafka, which is not installed",
            state="nothing was read",
            next_step="pip install 'flywheel-batch[kafka]'",
        ) from error
    complaints: list[KafkaError] = []
    consumer = None
    try:
        consumer = Consumer({**client_settings(spec), "error_cb": complaints.append})
        yield KafkaTopic(consumer, spec, complaints)
    except KafkaException as error:
        if consumer is not None:
            consumer.poll(0)  # hands over what the `complaints` are still to hear
        raise failed(spec, error.args[0], complaints) from None
    finally:
        if consumer is not None:
            consumer.close()
