"""Settings that must be there before a test imports Prefect, scikit-learn or great_expectations."""

from __future__ import annotations

import os

import pytest

SETTINGS = {
    # Libraries report nothing to anybody.
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Threads that wait by spinning take the cores from the server beside them.
    "OMP_WAIT_POLICY": "PASSIVE",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    # Recording every task run costs the test server more than all the flows; nobody looks at them there.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED": "false",
}

os.environ.update(SETTINGS)

# tests/flows/state.py, which several folders use, says what differs; before any of them imports it.
pytest.register_assert_rewrite("state")
