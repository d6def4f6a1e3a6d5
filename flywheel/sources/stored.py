"""The files of a folder, local or on S3, and byte ranges of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from flywheel.errors import FlywheelError, StorageDownError, StorageError
from flywheel.lake.storage import StorageMap, StoredFile, open_store
from flywheel.lake.trouble import reaching
from flywheel.sources.base import SourceDownError, SourceError

_KEPT = "nothing was read; a batch that was planned stays planned"
_CHECK = "check `uri`, and the Storage document that its prefix belongs to"


@dataclass(frozen=True)
class PartFile:
    """One file of a folder; ``path`` is relative to it, ``size`` is that of the listing (or of the plan)."""

    store: ObjectStore
    path: str
    size: int
    modified: datetime | None = None

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes ``[start, stop)``, fewer where the file ends before ``stop``."""
        if stop <= start:
            return b""
        try:
            return bytes(obstore.get_range(self.store, self.path, start=start, end=stop))
        except BaseError:
            if self.current_size() <= start:
                return b""
            raise

    def current_size(self) -> int:
        """Return the size of the file as it is now."""
        return obstore.head(self.store, self.path)["size"]

    def mark(self) -> tuple[str, int, str | None]:
        """Return what tells the file as it is now from any other: its path, its size, its store's mark of it."""
        found = obstore.head(self.store, self.path)
        return self.path, found["size"], found["e_tag"]

    def open(self) -> RangeReader:
        """Return a seekable reader of the whole file as it is now."""
        return RangeReader(self, self.current_size())


class RangeReader(io.RawIOBase):
    """A file whose bytes are fetched as they are asked for."""

    def __init__(self, file: PartFile, size: int) -> None:
        self._file = file
        self._size = size
        self._place = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def read(self, size: int = -1) -> bytes:
        stop = self._size if size < 0 else min(self._place + size, self._size)
        content = self._file.read(self._place, stop)
        self._place += len(content)
        return content


@dataclass(frozen=True)
class Folder:
    """A folder that files are added to."""

    storage: StorageMap
    uri: str

    @property
    def place(self) -> str:
        """Where the folder really is."""
        return self.storage.resolve(self.uri).uri

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

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Turn what the object store reports (no access, no such bucket, no network) into a ``SourceError``."""
        try:
            with reaching(self.storage.resolve(self.uri)):
                yield
        except StorageDownError as error:
            raise SourceDownError(self._cannot(error), state=_KEPT, next_step=_CHECK) from error
        except (StorageError, BaseError) as error:
            raise SourceError(self._cannot(error), state=_KEPT, next_step=_CHECK) from error

    def _cannot(self, error: Exception) -> str:
        reason = error.what if isinstance(error, FlywheelError) else str(error).splitlines()[0]
        return f"the source's folder {self.uri!r} can't be read: {reason}"

    def file(self, path: str, size: int) -> PartFile:
        """Return one file by its path."""
        return PartFile(open_store(self.storage.resolve(self.uri)), path, size)


def _holds_records(file: StoredFile) -> bool:
    """Hidden and temporary files are somebody's work in progress; an empty file holds nothing yet."""
    path = PurePosixPath(file.path)
    hidden = any(name.startswith((".", "_")) for name in path.parts)
    return file.size > 0 and not hidden and path.suffix != ".tmp"
