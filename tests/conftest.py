"""Settings that must be there before a test imports Prefect, scikit-learn or great_expectations; what the folders'
tests share, and which process runs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``, files of one set-up go to the same process."""
    if config.getoption("dist") != "loadfile":
        return None
    from set_ups import BySetUp

    return BySetUp(config, log)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """The one Prefect server of a process, for all tests that do not mind what others have left on it."""
    from quiet_prefect import quiet_prefect_server

    with quiet_prefect_server():
        yield
