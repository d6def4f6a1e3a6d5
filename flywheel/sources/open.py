"""Opens the source that a Source document describes."""

from __future__ import annotations

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import FilesSourceSpec, KafkaSourceSpec, SourceSpec
from flywheel.sources.base import Source


def open_source(spec: SourceSpec, storage: StorageMap) -> Source:
    """Return the source of records behind ``spec``; nothing is read yet."""
    if isinstance(spec, FilesSourceSpec):
        from flywheel.sources.files import FilesSource

        return FilesSource(spec, storage)
    if isinstance(spec, KafkaSourceSpec):
        from flywheel.sources.kafka import KafkaSource

        return KafkaSource(spec)
    from flywheel.sources.sql import SqlSource

    return SqlSource(spec)
