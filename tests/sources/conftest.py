"""The places that the tests of sources read from; ``source_places`` is importable because of this file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from broker import Broker, tansu_broker
from kafka_place import KafkaPlace
from source_places import FORMATS, FilesPlace, Place, make_place


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with tansu_broker(tmp_path_factory.mktemp("broker") / "tansu.log") as running:
        yield running


@pytest.fixture(params=[*FORMATS, "sql", "kafka"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "kafka":
        return KafkaPlace(request.getfixturevalue("broker"))
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
