"""The parcels pipeline with its records and its feedback in Kafka."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
from parcels import NAME, Parcels

from flywheel.context import PipelineContext, open_pipeline
from flywheel.manifest.documents import KafkaSecurity, KafkaSourceSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))

from broker import Broker, Sent, Tansu, free_port, running, tansu_broker  # where the broker of all tests is

__all__ = ["PARTITIONS", "Broker", "KafkaParcels", "Sent", "Tansu", "free_port", "running", "tansu_broker"]

PARTITIONS = 3


@dataclass(frozen=True)
class KafkaParcels(Parcels):
    """Parcels whose records and events are topics."""

    broker: Broker = field(kw_only=True)
    timeout_seconds: float = 30
    security: KafkaSecurity = field(default_factory=lambda: KafkaSecurity(protocol="PLAINTEXT"))

    def copy(self, root: Path, address: str | None = None) -> KafkaParcels:
        """Copy the workspace; the topics are the same ones, since what was read of them is known to the workspace."""
        return replace(self, root=super().copy(root).root, address=address or self.address)

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
        return KafkaSourceSpec(
            type="kafka",
            bootstrap_servers=self.broker.address,
            topic=name,
            timeout_seconds=self.timeout_seconds,
            security=self.security,
        )
