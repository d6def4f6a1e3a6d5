"""The bundled anomaly pipeline, run once for all its tests; ``metrics_week``, and the modules of tests/flows and
tests/sources, are importable because of this file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "flows"))
sys.path.insert(0, str(Path(__file__).parent.parent / "sources"))
sys.path.insert(0, str(Path(__file__).parent))

from metrics_week import Week, alertmanager, model_server, run_week


@pytest.fixture(scope="module")
def week(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    root = tmp_path_factory.mktemp("metrics")
    with model_server(root) as server, alertmanager() as receiver:
        yield run_week(root, receiver, server)
