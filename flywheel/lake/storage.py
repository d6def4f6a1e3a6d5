"""Where URIs really are, and plain files there: read, written whole, written once.

A file is either there whole or not at all: locally through a rename, on S3 because an object is put in one request.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, ObjectStore, S3Store

from flywheel.lake.options import obstore_retries, s3_options
from flywheel.lake.trouble import persistently, reaching
from flywheel.manifest.documents import StorageSpec

if TYPE_CHECKING:
    from obstore.store import S3Config


@dataclass(frozen=True)
class Location:
    """A resolved place: an absolute local path or an ``s3://`` URI, with object_store's options to reach it.

    A request to it may take ``timeout_seconds``.
    """

    uri: str
    options: dict[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 30

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri

    def child(self, *names: str) -> Location:
        """The place called ``names`` under this one."""
        return replace(self, uri="/".join([self.uri.rstrip("/"), *names]))


@dataclass(frozen=True)
class StoredFile:
    """A file as a listing shows it: ``path`` is relative to the folder listed, ``size`` in bytes."""

    path: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class StorageMap:
    """Resolves URIs with the workspace's Storage documents; the longest matching prefix wins.

    Parameters
    ----------
    storages
        The Storage documents' specs.
    base
        Folder that relative paths start from.
    """

    storages: tuple[StorageSpec, ...] = ()
    base: Path = field(default_factory=Path.cwd)

    def resolve(self, uri: str) -> Location:
        """Return where ``uri`` (a path, ``file://`` or ``s3://``) really is.

        >>> storage = StorageMap((StorageSpec(prefix="s3://ml-models", root="/lake/models"),), Path("/work"))
        >>> storage.resolve("s3://ml-models/baselines/v3").uri, storage.resolve("data/in").uri
        ('/lake/models/baselines/v3', '/work/data/in')
        """
        matching = [s for s in self._storages_longest_first if _is_under(uri, s.prefix)]
        if matching:
            spec = matching[0]
            rest = uri[len(spec.prefix.rstrip("/")) :].strip("/")
            root = Location(self._absolute(spec.root), s3_options(spec), spec.timeout_seconds)
            return root.child(rest) if rest else root
        return Location(self._absolute(uri))

    def read_bytes(self, uri: str) -> bytes:
        """Return a file's content; FileNotFoundError when there is none."""
        return read_file(self.resolve(uri))

    def exists(self, uri: str) -> bool:
        location = self.resolve(uri)
        if location.is_local:
            return Path(location.uri).is_file()
        store, name = _store_of(location)
        try:
            with reaching(location):
                obstore.head(store, name)
        except FileNotFoundError:
            return False
        return True

    def write(self, uri: str, data: bytes) -> None:
        """Write a whole file, over one that is there."""
        write_file(self.resolve(uri), data)

    def write_once(self, uri: str, data: bytes) -> bool:
        """Write a file unless one is there; return whether this call wrote it. Of several writers one wins.

        False may also mean that an earlier attempt of this call wrote it, whose answer was lost.
        """
        return put_new(self.resolve(uri), data) is not None

    def delete(self, uri: str) -> None:
        """Remove a file; nothing happens when there is none."""
        location = self.resolve(uri)
        store, name = _store_of(location)
        try:
            persistently(location, lambda: obstore.delete(store, name))
        except FileNotFoundError:
            return

    def list_files(self, uri: str) -> list[StoredFile]:
        """Return every file under the folder ``uri``, by path; an absent folder has none."""
        location = self.resolve(uri)
        if location.is_local and not Path(location.uri).is_dir():
            return []
        store = open_store(location)
        with reaching(location):
            metas = obstore.list(store).collect()
        files = (StoredFile(meta["path"], meta["size"], meta["last_modified"]) for meta in metas)
        return sorted(files, key=lambda file: file.path)

    def _absolute(self, uri: str) -> str:
        if uri.startswith("file://"):
            uri = uri.removeprefix("file://")
        return uri.rstrip("/") if "://" in uri else str((self.base / uri).absolute())

    @cached_property
    def _storages_longest_first(self) -> list[StorageSpec]:
        return sorted(self.storages, key=lambda spec: len(spec.prefix), reverse=True)


def read_file(location: Location) -> bytes:
    """Return a file's content; FileNotFoundError when there is none."""
    if location.is_local:
        return Path(location.uri).read_bytes()
    store, name = _store_of(location)
    with reaching(location):
        return bytes(obstore.get(store, name).bytes())


def write_file(location: Location, data: bytes) -> None:
    """Write a whole file, over one that is there."""
    store, name = _store_of(location)
    with reaching(location):
        obstore.put(store, name, data, use_multipart=False)


def put_new(location: Location, data: bytes) -> str | None:
    """Write a file unless one is there; return its mark (see ``file_mark``), or None where one was there."""
    store, name = _store_of(location)
    try:
        return persistently(location, lambda: obstore.put(store, name, data, mode="create"))["e_tag"] or ""
    except AlreadyExistsError:
        return None


def file_mark(location: Location) -> str | None:
    """Return what a file's content is known by, as its store says; None where there is no file."""
    store, name = _store_of(location)
    try:
        with reaching(location):
            return obstore.head(store, name)["e_tag"] or ""
    except FileNotFoundError:
        return None


def read_marked(location: Location) -> tuple[bytes, str] | None:
    """Return a file's content and its mark (see ``file_mark``); None where there is no file."""
    store, name = _store_of(location)
    try:
        with reaching(location):
            found = obstore.get(store, name)
            return bytes(found.bytes()), found.meta["e_tag"] or ""
    except FileNotFoundError:
        return None


def open_store(location: Location) -> ObjectStore:
    """Return the object store whose root is ``location``."""
    if location.is_local:
        with reaching(location):
            return LocalStore(prefix=location.uri, mkdir=True)
    return _s3_store(location.uri, tuple(location.options.items()), location.timeout_seconds)


@lru_cache(maxsize=64)
def _s3_store(uri: str, options: tuple[tuple[str, str], ...], timeout_seconds: float) -> S3Store:
    # Kept, as its connections are: each would be opened anew for every file.
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    retries = obstore_retries(Location(uri, timeout_seconds=timeout_seconds))
    return S3Store(bucket, prefix=prefix or None, config=cast("S3Config", dict(options)), retry_config=retries)


def _store_of(location: Location) -> tuple[ObjectStore, str]:
    """Return the store of the folder that a file is in, and the file's name."""
    folder, _, name = location.uri.rpartition("/")
    return open_store(replace(location, uri=folder or "/")), name


def _is_under(uri: str, prefix: str) -> bool:
    return uri == prefix or uri.startswith(prefix.rstrip("/") + "/")
