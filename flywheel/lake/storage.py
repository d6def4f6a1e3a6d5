"""Where URIs really are, and plain files there: read, written whole, written once.

A file is either there whole or not at all: locally through a rename, on S3 because an object is put in one request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, ObjectStore, S3Store

from flywheel.manifest.documents import StorageSpec


@dataclass(frozen=True)
class Location:
    """A resolved place: an absolute local path or an ``s3://`` URI, with object_store's options to reach it."""

    uri: str
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri

    def child(self, *names: str) -> Location:
        """The place called ``names`` under this one."""
        return Location("/".join([self.uri.rstrip("/"), *names]), self.options)


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
            root = Location(self._absolute(spec.root), s3_options(spec))
            return root.child(rest) if rest else root
        return Location(self._absolute(uri))

    def read_bytes(self, uri: str) -> bytes:
        """Return a file's content; FileNotFoundError when there is none."""
        location = self.resolve(uri)
        if location.is_local:
            return Path(location.uri).read_bytes()
        store, name = self._store_of(uri)
        return bytes(obstore.get(store, name).bytes())

    def exists(self, uri: str) -> bool:
        location = self.resolve(uri)
        if location.is_local:
            return Path(location.uri).is_file()
        store, name = self._store_of(uri)
        try:
            obstore.head(store, name)
        except FileNotFoundError:
            return False
        return True

    def write(self, uri: str, data: bytes) -> None:
        """Write a whole file, over one that is there."""
        store, name = self._store_of(uri)
        obstore.put(store, name, data, use_multipart=False)

    def write_once(self, uri: str, data: bytes) -> bool:
        """Write a file unless one is there; return whether this call wrote it. Of several writers one wins."""
        store, name = self._store_of(uri)
        try:
            obstore.put(store, name, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def delete(self, uri: str) -> None:
        """Remove a file; nothing happens when there is none."""
        store, name = self._store_of(uri)
        try:
            obstore.delete(store, name)
        except FileNotFoundError:
            return

    def list_files(self, uri: str) -> list[StoredFile]:
        """Return every file under the folder ``uri``, by path; an absent folder has none."""
        location = self.resolve(uri)
        if location.is_local and not Path(location.uri).is_dir():
            return []
        store = open_store(location)
        metas = obstore.list(store).collect()
        files = (StoredFile(meta["path"], meta["size"], meta["last_modified"]) for meta in metas)
        return sorted(files, key=lambda file: file.path)

    def _store_of(self, uri: str) -> tuple[ObjectStore, str]:
        location = self.resolve(uri)
        folder, _, name = location.uri.rpartition("/")
        return open_store(Location(folder or "/", location.options)), name

    def _absolute(self, uri: str) -> str:
        if uri.startswith("file://"):
            uri = uri.removeprefix("file://")
        return uri.rstrip("/") if "://" in uri else str((self.base / uri).absolute())

    @cached_property
    def _storages_longest_first(self) -> list[StorageSpec]:
        return sorted(self.storages, key=lambda spec: len(spec.prefix), reverse=True)


def open_store(location: Location) -> ObjectStore:
    """Return the object store whose root is ``location``."""
    if location.is_local:
        return LocalStore(prefix=location.uri, mkdir=True)
    bucket, _, prefix = location.uri.removeprefix("s3://").partition("/")
    options: Mapping[str, str] = location.options
    return S3Store(bucket, prefix=prefix or None, config=dict(options))  # type: ignore[arg-type]


def s3_options(spec: StorageSpec) -> dict[str, str]:
    """Return the options by which delta-rs, Polars and obstore reach a bucket."""
    secret = spec.secret_access_key.get_secret_value() if spec.secret_access_key else None
    options = {
        "AWS_ENDPOINT_URL": spec.endpoint_url,
        "AWS_ACCESS_KEY_ID": spec.access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": spec.region,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if spec.root.startswith("s3://"):
        given["aws_conditional_put"] = "etag"
        if (spec.endpoint_url or "").startswith("http://"):
            given["AWS_ALLOW_HTTP"] = "true"
    return given


def _is_under(uri: str, prefix: str) -> bool:
    return uri == prefix or uri.startswith(prefix.rstrip("/") + "/")
