"""What the engine logs, in the log of the run that called it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger


class _ToRun(logging.Handler):
    """Hands records on to the log of the current flow or task run: its page in the UI, and ``flywheel logs``."""

    def emit(self, record: logging.LogRecord) -> None:
        get_run_logger().log(record.levelno, "%s", record.getMessage())


@contextmanager
def in_run_log(name: str) -> Iterator[None]:
    """Send what the logger ``name`` is told, from INFO on, to the current run's log.

    Prefect's own setting for this, PREFECT_LOGGING_EXTRA_LOGGERS, would have to be set wherever a run starts, and lets
    nothing below WARNING through.
    """
    logger, handler = logging.getLogger(name), _ToRun()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
