"""The files of a folder, local or on S3, and byte ranges of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, cast

import obstore
from obstore.store import ObjectStore

from flywheel.lake.storage import StorageMap, StoredFile, open_store
from flywheel.sources.base import SourceError


@dataclass(frozen=True)
class PartFile:
    """One file of a folder; ``path`` is relative to it, ``size`` is that of the listing (or of the plan)."""

    store: ObjectStore
    path: str
    size: int
    modified: datetime | None = None

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes ``[start, stop)``."""
        if stop <= start:
            return b""
        return bytes(obstore.get_range(self.store, self.path, start=start, end=stop))

    def open(self) -> IO[bytes]:
        """Return a seekable reader of the whole file."""
        return cast("IO[bytes]", obstore.open_reader(self.store, self.path))


@dataclass(frozen=True)
class Folder:
    """A folder that files are added to."""

    storage: StorageMap
    uri: str

    def files(self) -> list[PartFile]:
        """Return the files that hold records, in the order of their names."""
        location = self.storage.resolve(self.uri)
        if location.is_local and not Path(location.uri).is_dir():
            raise SourceError(
                f"the source's folder {self.uri!r} is not there ({location.uri})",
                state="nothing was read",
                next_step="create the folder, or correct `uri` in the Source document",
            )
        listed = [file for file in self.storage.list_files(self.uri) if _holds_records(file)]
        store = open_store(location) if listed else None
        return [PartFile(store, file.path, file.size, file.modified) for file in listed if store is not None]

    def file(self, path: str, size: int) -> PartFile:
        """Return one file by its path."""
        return PartFile(open_store(self.storage.resolve(self.uri)), path, size)


def _holds_records(file: StoredFile) -> bool:
    """Hidden and temporary files are somebody's work in progress; an empty file holds nothing yet."""
    path = PurePosixPath(file.path)
    hidden = any(name.startswith((".", "_")) for name in path.parts)
    return file.size > 0 and not hidden and path.suffix != ".tmp"
