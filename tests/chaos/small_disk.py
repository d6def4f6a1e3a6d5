"""A disk with little room, that can be filled to the last byte and freed again: a tmpfs, for which one must be root."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

import pytest

_FILLER = "filler"
_PIECES = (1 << 20, 1 << 12, 1 << 8, 1)


@dataclass
class SmallDisk:
    """The disk mounted at ``folder``; ``filled`` counts how often it was full."""

    folder: Path
    filled: int = 0

    def fill(self, leave: int = 0) -> None:
        """Leave room for so many bytes."""
        self.filled += 1
        with (self.folder / _FILLER).open("wb", buffering=0) as filler:
            for size in _PIECES:
                self._write(filler.fileno(), size)
            filler.truncate(max(0, filler.tell() - leave))

    def free(self) -> None:
        (self.folder / _FILLER).unlink(missing_ok=True)

    def _write(self, file: int, size: int) -> None:
        while True:
            try:
                os.write(file, b"\0" * size)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    return
                raise


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk; the test is skipped where that is not allowed."""
    folder.mkdir()
    shared = Path(gettempdir()).resolve()
    for parent in folder.parents:  # PostgreSQL's own user must come through
        if parent.is_relative_to(shared) and parent != shared:
            parent.chmod(parent.stat().st_mode | 0o011)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    told = subprocess.run(mount, capture_output=True, text=True)
    if told.returncode:
        pytest.skip(f"no small disk can be mounted: {told.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
