"""Where URIs are, and files that are there whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import StorageSpec


@pytest.fixture
def storage(tmp_path: Path) -> StorageMap:
    return StorageMap((StorageSpec(prefix="s3://training", root=str(tmp_path / "bucket")),), tmp_path)


def test_the_longest_prefix_decides(tmp_path: Path) -> None:
    outer = StorageSpec(prefix="s3://data", root="/outer")
    inner = StorageSpec(prefix="s3://data/models", root="/inner")
    storage = StorageMap((outer, inner), tmp_path)
    assert storage.resolve("s3://data/models/m").uri == "/inner/m"
    assert storage.resolve("s3://data/other").uri == "/outer/other"
    assert storage.resolve("s3://database/x").uri == "s3://database/x"  # a prefix ends at a slash
    assert storage.resolve("file:///a/b").uri == "/a/b"


def test_the_secret_of_a_bucket_is_in_its_options_and_in_no_text() -> None:
    spec = StorageSpec(prefix="s3://b", root="s3://b", secret_access_key="hush-hush", endpoint_url="http://127.0.0.1:1")
    location = StorageMap((spec,)).resolve("s3://b/x")
    assert location.options["AWS_SECRET_ACCESS_KEY"] == "hush-hush"
    assert location.options["AWS_ALLOW_HTTP"] == "true"
    assert "hush" not in repr(location) + repr(spec) + repr(StorageMap((spec,)))


def test_files_are_written_listed_and_deleted(storage: StorageMap) -> None:
    storage.write("s3://training/a/b.txt", b"one")
    storage.write("s3://training/a/b.txt", b"two")
    storage.write("s3://training/c.txt", b"three")
    assert storage.read_bytes("s3://training/a/b.txt") == b"two"
    assert [(file.path, file.size) for file in storage.list_files("s3://training")] == [("a/b.txt", 3), ("c.txt", 5)]
    storage.delete("s3://training/c.txt")
    storage.delete("s3://training/c.txt")
    assert not storage.exists("s3://training/c.txt")
    assert storage.list_files("s3://training/nothing") == []
    with pytest.raises(FileNotFoundError):
        storage.read_bytes("s3://training/c.txt")


def test_of_many_writers_one_wins_and_its_file_is_whole(storage: StorageMap) -> None:
    contents = [bytes([index]) * 100_000 for index in range(16)]
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda data: storage.write_once("s3://training/once", data), contents))
    assert won.count(True) == 1
    assert storage.read_bytes("s3://training/once") == contents[won.index(True)]
