"""Commits that some files of a Delta table have become one, without changing a row.

delta-rs can compact too, but it lets two compactions of the same files both commit, and then every row is there twice
(measured with 1.6.6, in all of 16 races). So the commit is made here, by the protocol's own rule: a version is a file
of the log that is created only if it is not there. Where another commit took the version, ours goes behind it, unless
that one took away a file that we replace, or changed what the table is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flywheel.lake.storage import Location, StorageMap

_ATTEMPTS = 1_000
_CHANGES_THE_TABLE = ("metaData", "protocol")


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table: ``path`` as the log has it, ``date`` the partition, ``size`` in bytes.

    ``stats`` is what the log is to say of its rows, in JSON.
    """

    path: str
    date: str | None
    size: int
    rows: int
    stats: str = ""


@dataclass
class Rewrite:
    """Replaces files of a table as it was at ``version``, one commit after the other."""

    storage: StorageMap
    table: Location
    version: int
    _removed: set[str] = field(default_factory=set)
    _is_another_table: bool = False

    def replace(self, replaced: Sequence[DataFile], by: DataFile) -> bool:
        """Commit that ``by`` holds the rows of ``replaced``.

        Returns
        -------
        bool
            False if another commit came first that can't be reconciled; the table is then as that one left it.
        """
        commit = _commit(self.version, replaced, by)
        for _ in range(_ATTEMPTS):
            if self._is_another_table or any(file.path in self._removed for file in replaced):
                return False
            place = f"{self.table.uri}/_delta_log/{self.version + 1:020}.json"
            written = self.storage.write_once(place, commit)
            self.version += 1
            # What is there may be ours nevertheless: the answer to an earlier try was lost.
            if written or self._note(self.storage.read_bytes(place), by):
                return True
        return False

    def _note(self, commit: bytes, by: DataFile) -> bool:
        """Remember what another's commit did; return whether it is our own."""
        actions = [json.loads(line) for line in commit.splitlines() if line.strip()]
        if any(action.get("add", {}).get("path") == by.path for action in actions):
            return True
        self._removed.update(action["remove"]["path"] for action in actions if "remove" in action)
        self._is_another_table |= any(name in action for action in actions for name in _CHANGES_THE_TABLE)
        return False


def _commit(version: int, replaced: Sequence[DataFile], by: DataFile) -> bytes:
    now = time.time_ns() // 1_000_000
    metrics = {"numAddedFiles": 1, "numRemovedFiles": len(replaced)}
    info = {"timestamp": now, "operation": "OPTIMIZE", "operationParameters": {}, "operationMetrics": metrics}
    actions = [
        {"commitInfo": {**info, "readVersion": version, "isBlindAppend": False, "engineInfo": "flywheel"}},
        *({"remove": {**_file(file), "deletionTimestamp": now, "extendedFileMetadata": True}} for file in replaced),
        {"add": {**_file(by), "modificationTime": now, "stats": by.stats}},
    ]
    return "\n".join(json.dumps(action) for action in actions).encode()


def _file(file: DataFile) -> dict[str, Any]:
    return {"path": file.path, "partitionValues": {"date": file.date}, "size": file.size, "dataChange": False}
