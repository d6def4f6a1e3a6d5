"""A worker that died is started again, whatever the server says of its runs."""

from __future__ import annotations

from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from deployments.orphans import crash_orphans
from deployments.processes import free_port


def test_a_server_that_does_not_answer_is_told_of() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    with temporary_settings({PREFECT_API_URL: nowhere, PREFECT_CLIENT_MAX_RETRIES: 0}):
        (line,) = crash_orphans()
    assert line.startswith("could not look for runs that ended with the worker")
    assert line.endswith("reconcile settles them")
