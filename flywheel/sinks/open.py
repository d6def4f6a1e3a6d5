"""Opens the sink that a Sink document describes."""

from __future__ import annotations

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import SinkSpec, TableSinkSpec, WebhookSinkSpec
from flywheel.sinks.base import Sink
from flywheel.sinks.log import LogSink


def open_sink(name: str, spec: SinkSpec, storage: StorageMap) -> Sink:
    """Return the sink called ``name``; nothing is sent or created yet."""
    if isinstance(spec, TableSinkSpec):
        from flywheel.sinks.table import DeltaSink, ParquetSink

        return DeltaSink(name, spec, storage) if spec.format == "delta" else ParquetSink(spec, storage)
    if isinstance(spec, WebhookSinkSpec):
        from flywheel.sinks.webhook import WebhookSink

        return WebhookSink(name, spec)
    return LogSink(name, spec)
