"""Steps are tried again after what may have passed by then, and after nothing else."""

from __future__ import annotations

import pytest
from prefect import flow

from flywheel.errors import DatabaseDownError, DiskFullError, FlywheelError, StorageDownError
from tasks.step import step


@pytest.mark.parametrize(("error", "attempts"), [(DatabaseDownError, 3), (StorageDownError, 3), (DiskFullError, 1)])
def test_a_store_that_is_away_is_asked_again(prefect_server: None, error: type[FlywheelError], attempts: int) -> None:
    asked = []

    @step("ask", retries=2, retry_delay_seconds=0)
    def ask() -> int:
        asked.append(1)
        if len(asked) < 3:
            raise error("away", state="nothing was done", next_step="wait")
        return 7

    @flow
    def asking() -> int:
        return ask()

    if attempts == 3:
        assert asking() == 7
    else:
        with pytest.raises(error, match="away"):
            asking()
    assert len(asked) == attempts
