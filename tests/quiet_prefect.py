"""A Prefect server for flows that are called, not scheduled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

# What the server does by itself: nobody waits for it in these tests, and it takes a tenth of a core all the time.
_SERVICES = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "EVENT_LOGGER",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TRIGGERS",
)


@contextmanager
def quiet_prefect_server() -> Iterator[None]:
    """Run one on which the flows of this process work; without heartbeats, whose thread adds a second to each run."""
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        for name in _SERVICES:
            patch.setenv(f"PREFECT_SERVER_SERVICES_{name}_ENABLED", "false")
        with prefect_test_harness(server_startup_timeout=120):
            patch.undo()  # it has started, and other processes of the tests are none of its
            yield
