"""A Prefect server on which nobody has typed ``flywheel init``."""

from __future__ import annotations

import pytest

from blocks import FlywheelWorkspace
from flywheel.errors import FlywheelError
from tasks import connect


class NeverSaved(FlywheelWorkspace):
    """A workspace of a type that no server knows."""

    _block_type_slug = "flywheel-never-saved"


@pytest.mark.usefixtures("prefect_server")
def test_a_run_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "FlywheelWorkspace", NeverSaved)
    with pytest.raises(FlywheelError, match="no block flywheel-workspace/default") as raised:
        connect.connect("parcels")
    assert "flywheel init" in str(raised.value)
