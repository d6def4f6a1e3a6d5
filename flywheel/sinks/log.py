"""Predictions as JSON lines in the run's log."""

from __future__ import annotations

import logging

from flywheel.manifest.documents import LogSinkSpec
from flywheel.sinks.as_json import rows_as_json
from flywheel.sinks.base import SinkBatch

logger = logging.getLogger("flywheel.sinks")


class LogSink:
    """Logs the first ``spec.limit`` rows of a batch, and how many more there are."""

    def __init__(self, name: str, spec: LogSinkSpec) -> None:
        self._name = name
        self._limit = spec.limit

    def deliver(self, batch: SinkBatch) -> int:
        """See ``Sink.deliver``."""
        shown = rows_as_json(batch.rows.head(self._limit))
        for line in shown:
            logger.info("%s", line)
        left = batch.rows.height - len(shown)
        if left:
            logger.info("%s: %d more rows of batch %d of %s", self._name, left, batch.number, batch.pipeline)
        return len(shown)
