"""The bundled anomaly pipeline, run once for all its tests; ``metrics_week``, and the modules of tests/flows and
tests/sources, are importable because of this file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

sys.path.insert(0, str(Path(__file__).parent.parent / "flows"))
sys.path.insert(0, str(Path(__file__).parent.parent / "sources"))
sys.path.insert(0, str(Path(__file__).parent))

from metrics_week import Week, alertmanager, model_server, run_week


# Of one module: its Prefect server would be in the way of that of tests/flows for the rest of a process.
@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    root = tmp_path_factory.mktemp("metrics")
    with (
        model_server(root) as server,
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        alertmanager() as receiver,
    ):
        yield run_week(root, receiver, server)
