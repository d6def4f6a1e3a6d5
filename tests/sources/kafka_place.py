"""A topic that records are added to, for the tests that every source must pass."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from broker import Broker, Sent
from source_places import Place, Record

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import KafkaSourceSpec
from flywheel.sources.base import Source
from flywheel.sources.open import open_source

_NUMBERS = itertools.count()


class KafkaPlace(Place):
    """A topic of its own; the records of one name go to one partition."""

    def __init__(self, broker: Broker, partitions: int = 3, topic: str = "") -> None:
        self.broker = broker
        self.topic = topic or f"topic-{next(_NUMBERS)}"
        self._partitions: dict[str, int] = {}
        self._count = partitions
        broker.make(self.topic, partitions)

    def add(self, records: Sequence[Record], name: str = "part") -> None:
        partition = self._partitions.setdefault(name, len(self._partitions) % self._count)
        self.send([Sent(json.dumps(each).encode(), partition) for each in records])

    def send(self, messages: Sequence[Sent]) -> None:
        self.broker.send(self.topic, messages)

    def spec(self, **fields: Any) -> KafkaSourceSpec:
        given = {"bootstrap_servers": self.broker.address, "topic": self.topic, "timeout_seconds": 10, **fields}
        return KafkaSourceSpec.model_validate({"type": "kafka", **given})

    def source(self, event_time: str = "$.timestamp", received_at: str | None = None, **fields: Any) -> Source:
        return open_source(self.spec(event_time=event_time, received_at=received_at, **fields), StorageMap())
