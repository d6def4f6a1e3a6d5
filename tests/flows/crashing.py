"""Crashes between any two writes: of Delta tables, of files, of the metadata database.

A ``Writes`` counts what a run is about to write; the one chosen is prevented, or left half done as a process that dies
within it leaves it, and the run ends there.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import obstore
import pytest
from deltalake import DeltaTable, PostCommitHookProperties
from obstore.store import LocalStore, ObjectStore
from sqlalchemy import Connection, Engine, event

import flywheel.lake.delta
import flywheel.lake.storage
from flywheel.lake.storage import Location

_HASH = re.compile(r"[0-9a-f]{64}")
_PARTITION = re.compile(r"(/date=[^/]*)+$")
# A run for each write takes a second or two; all of them are tried by `make test-slow`.
everywhere = pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["kinds", "all"])
_NO_CHECKPOINT = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


class Killed(BaseException):
    """What ends a run: not an Exception, so that nothing between it and the test may handle it."""


def killed() -> None:
    raise Killed


@dataclass
class Writes:
    """The writes of a run.

    ``before`` is the number, from 1, of the write that does not happen; with ``torn`` its data reach the disk but not
    what makes them count: a table's files without the commit, a file's bytes under its temporary name.
    """

    before: int | None = None
    torn: bool = False
    crash: Callable[[], None] = killed
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def is_last(self, what: str) -> bool:
        """Note a write; return whether the run ends at it."""
        with self._lock:
            self.seen.append(what)
            return len(self.seen) == self.before

    def about_to(self, what: str) -> None:
        """Note a write, and crash if it is the one."""
        if self.is_last(what):
            self.crash()


def kinds_of(writes: list[str]) -> dict[str, list[int]]:
    """The numbers of a run's writes, from 1, by what they write, whatever its own number."""
    found: dict[str, list[int]] = {}
    for number, what in enumerate(writes, start=1):
        found.setdefault(re.sub(r"[0-9a-f]{8,}|\d+", "", what), []).append(number)
    return found


def chosen(writes: list[str], every: bool) -> list[int]:
    """The numbers of all writes, or of the last of each kind."""
    return list(range(1, len(writes) + 1)) if every else sorted(numbers[-1] for numbers in kinds_of(writes).values())


@contextmanager
def watching(writes: Writes) -> Iterator[Writes]:
    """Tell ``writes`` about every write that Flywheel does in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flywheel.lake.delta, "write_deltalake", _delta_writer(writes))
        patch.setattr(flywheel.lake.delta, "create_table", _table_maker(writes))
        patch.setattr(flywheel.lake.storage, "obstore", _object_store(writes))
        with _commits(writes):
            yield writes


def _delta_writer(writes: Writes) -> Callable[..., None]:
    write = flywheel.lake.delta.write_deltalake

    def write_and_count(table: Any, rows: Any, **options: Any) -> None:
        if writes.is_last(f"append to {_name(table.table_uri)}"):
            if writes.torn:
                write(table, rows, **options, post_commithook_properties=_NO_CHECKPOINT)
                _remove_newest_commit(table)
            writes.crash()
        write(table, rows, **options)

    return write_and_count


def _remove_newest_commit(table: DeltaTable) -> None:
    place = table.table_uri.removeprefix("file://").rstrip("/")
    options = {name: value for name, value in (table._storage_options or {}).items() if name.upper().startswith("AWS")}
    store = flywheel.lake.storage.open_store(Location(place, options))
    log = (meta["path"] for meta in obstore.list(store, prefix="_delta_log").collect())
    obstore.delete(store, max(path for path in log if path.endswith(".json")))


def _named(store: ObjectStore, path: str, data: bytes) -> str:
    folder = str(store.prefix or "").rstrip("/")
    if folder.endswith("/_delta_log") and b'{"txn"' in data:
        return f"append to {_name(folder.removesuffix('/_delta_log'))}"
    if path.endswith(".parquet"):
        return f"put rows of {_name(_PARTITION.sub('', folder))}"
    return f"put {_HASH.sub('HASH', path)}"


def _table_maker(writes: Writes) -> Callable[..., None]:
    make = flywheel.lake.delta.create_table

    def make_and_count(location: Any, *arguments: Any) -> None:
        writes.about_to(f"create {_name(location.uri)}")
        make(location, *arguments)

    return make_and_count


def _object_store(writes: Writes) -> SimpleNamespace:
    def put(store: ObjectStore, path: str, data: bytes, **options: Any) -> Any:
        if writes.is_last(_named(store, path, data)):
            if writes.torn and isinstance(store, LocalStore):  # on S3 an object is there whole, or not at all
                temporary = Path(store.prefix or "/", f"{path}#1")
                temporary.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(data[: len(data) // 2])
            writes.crash()
        return obstore.put(store, path, data, **options)

    def delete(store: ObjectStore, path: str) -> None:
        writes.about_to(f"delete {path}")
        obstore.delete(store, path)

    others = {name: getattr(obstore, name) for name in ("get", "head", "list", "get_range")}
    return SimpleNamespace(put=put, delete=delete, **others)


@contextmanager
def _commits(writes: Writes) -> Iterator[None]:
    """Count the transactions that changed something, just before they are committed."""

    def executed(connection: Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        verb, _, rest = statement.lstrip().partition(" ")
        if verb in ("INSERT", "UPDATE", "DELETE"):
            connection.info.setdefault("changed", []).append(rest.removeprefix("INTO ").split()[0])

    def committing(connection: Connection) -> None:
        if changed := connection.info.pop("changed", []):
            writes.about_to(f"commit {', '.join(dict.fromkeys(changed))}")

    def rolled_back(connection: Connection) -> None:
        connection.info.pop("changed", None)

    listeners: list[tuple[str, Callable[..., None]]] = [
        ("before_cursor_execute", executed),
        ("commit", committing),
        ("rollback", rolled_back),
    ]
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners:
            event.remove(Engine, name, listener)


def _name(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]
