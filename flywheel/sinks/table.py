"""A table of predictions elsewhere: Delta, appended exactly once, or one Parquet file a batch."""

from __future__ import annotations

import io

from flywheel.lake.delta import append_once
from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import TableSinkSpec
from flywheel.sinks.base import SinkBatch


class DeltaSink:
    """Appends batches to a Delta table; a batch that is in it already is not appended again."""

    def __init__(self, name: str, spec: TableSinkSpec, storage: StorageMap) -> None:
        self._name = name
        self._location = storage.resolve(spec.uri)

    def deliver(self, batch: SinkBatch) -> int:
        """See ``Sink.deliver``."""
        if batch.rows.is_empty():
            return 0
        # Several pipelines may share the table: each has its own sequence of numbers.
        app = f"flywheel-sink/{self._name}/{batch.pipeline}"
        append_once(self._location, batch.rows, app, batch.number, partition_by=[])
        return batch.rows.height


class ParquetSink:
    """Writes ``PIPELINE-NUMBER.parquet`` into a folder; written again, the file has the same bytes."""

    def __init__(self, spec: TableSinkSpec, storage: StorageMap) -> None:
        self._uri = spec.uri.rstrip("/")
        self._storage = storage

    def deliver(self, batch: SinkBatch) -> int:
        """See ``Sink.deliver``."""
        if batch.rows.is_empty():
            return 0
        content = io.BytesIO()
        batch.rows.write_parquet(content)
        self._storage.write(f"{self._uri}/{batch.pipeline}-{batch.number:08d}.parquet", content.getvalue())
        return batch.rows.height
