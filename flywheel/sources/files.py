"""A folder of files that grows.

Files are read in the order of their names, rows in the order of the file; what has been read is known per file, so a
file that arrives late under an earlier name is found too, and one that has grown is read on from where it ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import FilesSourceSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.records import WHOLE_FILE, Records, concat_records, unreadable_records
from flywheel.sources.base import Progress, Slice
from flywheel.sources.csv_format import CsvFormat
from flywheel.sources.formats import FileFormat, UnreadableFileError, changed_file
from flywheel.sources.mark import FileMark
from flywheel.sources.ndjson import NdjsonFormat
from flywheel.sources.parquet import ParquetFormat
from flywheel.sources.stored import Folder, PartFile
from flywheel.sources.visible import is_absurd, known_since, time_paths, visible_prefix
from flywheel.sources.waiting import WaitingFiles

_FORMATS: dict[str, type[FileFormat]] = {"parquet": ParquetFormat, "csv": CsvFormat, "ndjson": NdjsonFormat}
_WAITING = WaitingFiles()


class FilesSource:
    """Records in the files of a folder, local or on S3. Hidden (``.``, ``_``) and ``*.tmp`` files are left alone."""

    def __init__(self, spec: FilesSourceSpec, storage: StorageMap) -> None:
        self._folder = Folder(storage, spec.uri)
        self._format: FileFormat = _FORMATS[spec.format]()
        self._format_name = spec.format
        self._times = time_paths(spec.event_time, spec.received_at)

    def plan(self, done: Mapping[str, Progress], as_of: datetime, max_rows: int) -> list[Slice]:
        """See ``Source.plan``."""
        slices: list[Slice] = []
        left = max_rows
        with self._folder.reachable():
            for file in self._folder.files():
                if left == 0:
                    break
                piece = self._plan_file(file, done.get(file.path), as_of, left)
                if piece is not None:
                    slices.append(piece)
                    left -= piece.rows
        return slices

    def read(self, slices: Sequence[Slice], paths: Sequence[JsonPath]) -> Records:
        """See ``Source.read``."""
        wanted = list(dict.fromkeys(paths))
        with self._folder.reachable():
            return concat_records([self._read_slice(piece, wanted) for piece in slices], wanted)

    def _plan_file(self, file: PartFile, progress: Progress | None, as_of: datetime, limit: int) -> Slice | None:
        mark = FileMark.parse(progress.mark) if progress else FileMark()
        start = progress.rows if progress else 0
        if mark.size == file.size and mark.state != "open":
            return None
        try:
            return self._next_slice(file, start, mark.position, as_of, limit)
        except FileNotFoundError:
            # Removed since it was listed: there is nothing to read, and nothing planned from it.
            return None
        except UnreadableFileError:
            unreadable = FileMark(file.size, mark.position, "unreadable")
            return Slice(part=file.path, start=start, stop=start, after=str(mark.position), mark=str(unreadable))

    def _next_slice(self, file: PartFile, start: int, position: int, as_of: datetime, limit: int) -> Slice | None:
        # One row first: most files that wait are wholly in the future of `as_of`.
        key = (self._folder.place, tuple(self._times), file.path, file.size, file.modified, position)
        if _WAITING.waits(key, as_of):
            return None
        first = self._format.peek(file, position, 1, self._times)
        times = known_since(first.values, self._times)
        if visible_prefix(times, as_of) < len(times) and not is_absurd(times[0], as_of):
            _WAITING.remember(key, times[0])
            return None
        peek = first if first.complete else self._format.peek(file, position, limit, self._times)
        rows = visible_prefix(known_since(peek.values, self._times), as_of)
        at_end = peek.complete and rows == peek.values.height
        if rows == 0 and not at_end:
            return None
        reached = int(peek.ends[rows - 1]) if rows else position
        mark = FileMark(file.size, reached, "end" if at_end else "open")
        return Slice(part=file.path, start=start, stop=start + rows, after=str(position), mark=str(mark))

    def _read_slice(self, piece: Slice, paths: list[JsonPath]) -> Records:
        mark = FileMark.parse(piece.mark)
        if mark.state == "unreadable":
            return self._whole_file_record(piece, mark.size, paths)
        if piece.rows == 0:
            return unreadable_records(piece.part, 0, 0, "", paths)
        file = self._folder.file(piece.part, mark.size)
        try:
            return self._format.read(file, piece, paths)
        except FileNotFoundError as error:
            raise changed_file(file, piece) from error

    def _whole_file_record(self, piece: Slice, size: int, paths: list[JsonPath]) -> Records:
        error = f"the whole file is not readable as {self._format_name} ({size} bytes)"
        return unreadable_records(piece.part, WHOLE_FILE, 1, error, paths)
