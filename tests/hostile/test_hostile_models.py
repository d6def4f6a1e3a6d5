"""Model files that somebody changed, swapped or forged: refused by name, and the champion keeps serving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from forgeries import AS_OF, CARD, forgeries, model_bytes
from hostile import attack
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import SGDRegressor

from flywheel.errors import TamperedModelError
from flywheel.lake.storage import StorageMap
from flywheel.metadata.database import Database
from flywheel.registry.loading import digest, load_verified
from flywheel.registry.store import Registry
from flywheel.registry.version import RegisteredModel
from flywheel.serving.models import Models

GOOD, OTHER = model_bytes(1.0), model_bytes(-5.0)
FORGERIES = forgeries(GOOD, OTHER)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.chdir(tmp_path)
    database = Database(f"sqlite:///{tmp_path}/flywheel.db")
    database.create()
    yield Registry(database, StorageMap(base=tmp_path), "lake/models")
    assert not list(tmp_path.rglob("*pwned*"))


def register(registry: Registry, key: str, data: bytes) -> tuple[RegisteredModel, Path]:
    model = registry.register("delays", "p", key, data, CARD, {}, AS_OF)
    return model, Path(registry.storage.resolve(f"{registry.root}/{model.uri}").uri)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_file_is_refused_by_name_and_the_champion_keeps_serving(registry: Registry, forgery: str) -> None:
    champion, _ = register(registry, "first", GOOD)
    registry.promote("delays", 1, None, "test", AS_OF)
    served = Models(registry)
    served.refresh()
    assert served.get("delays").registered.version == champion.version
    # The next version's own file is good when it is registered, and is swapped before it is loaded.
    _, file = register(registry, "second", GOOD + b" ")
    file.write_bytes(FORGERIES[forgery])
    registry.promote("delays", 2, 1, "test", AS_OF)
    with pytest.raises(TamperedModelError, match="keeps serving") as refused:
        registry.load("delays", 2)
    assert file.name in str(refused.value)
    assert "delays version 2" in str(refused.value)
    served.refresh()
    assert served.get("delays").registered.version == champion.version


@pytest.mark.parametrize("forgery", [name for name in FORGERIES if name not in ("a byte changed", "another's")])
def test_a_forged_file_whose_hash_was_forged_too_is_not_run(registry: Registry, forgery: str) -> None:
    data = FORGERIES[forgery]
    register(registry, "first", data)
    try:
        loaded = registry.load("delays", 1)
    except TamperedModelError:
        pass  # whose message is looked at above
    else:  # zip readers take what surrounds the archive for padding
        assert type(loaded.model) is SGDRegressor


@given(place=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7), hash_too=st.booleans())
@attack(60)
def test_any_changed_bit_is_refused_or_is_no_code(place: int, bit: int, hash_too: bool) -> None:
    data = bytearray(GOOD)
    data[place] ^= 1 << bit
    expected = digest(bytes(data)) if hash_too else digest(GOOD)
    model = RegisteredModel("delays", 1, "p", "key", "candidate", "delays-1.skops", expected, CARD, {}, AS_OF)
    try:
        loaded = load_verified(bytes(data), model, "delays-1.skops")
    except TamperedModelError:
        pass
    else:
        assert hash_too
        assert type(loaded.model) is SGDRegressor
