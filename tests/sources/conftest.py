"""The places that the tests of sources read from; ``source_places`` is importable because of this file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from source_places import FORMATS, FilesPlace, Place, make_place


@pytest.fixture(params=[*FORMATS, "sql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return make_place(request.param, tmp_path)


@pytest.fixture(params=FORMATS)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FilesPlace:
    made = make_place(request.param, tmp_path)
    assert isinstance(made, FilesPlace)
    return made


@pytest.fixture
def ndjson(tmp_path: Path) -> FilesPlace:
    made = make_place("ndjson", tmp_path)
    assert isinstance(made, FilesPlace)
    return made


@pytest.fixture
def csv_place(tmp_path: Path) -> FilesPlace:
    made = make_place("csv", tmp_path)
    assert isinstance(made, FilesPlace)
    return made
