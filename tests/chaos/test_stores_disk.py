"""A full disk under the lake, under the metadata database, under both: a run ends with a clear error, and the first one
after there is room again goes on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from parcels import Parcels
from small_disk import small_disk
from stores import Day, Record, a_day, attempt, beside, note, until_done

from flywheel.errors import DiskFullError, FlywheelError

LAKE, DATABASE = ("lake",), ("metadata.db", "metadata.db-wal", "metadata.db-shm")


@pytest.fixture(scope="module")
def day(embedded: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day[Parcels]]:
    with a_day(embedded, tmp_path_factory.mktemp("disk-day"), 300) as made:
        yield made


@pytest.fixture(scope="module")
def long_day(embedded: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day[Parcels]]:
    with a_day(embedded, tmp_path_factory.mktemp("disk-day"), 3_000, 30) as made:
        yield made


def fill_the_disk(
    day: Day[Parcels], folder: Path, record: Record, what: str, names: Sequence[str], leave: Sequence[int]
) -> None:
    """Put a part of the workspace on a small disk, and fill it at some moment of each run; once with each of ``leave``
    bytes left over."""
    copy = day.before.copy(folder / "w")
    with small_disk(folder / "disk", 64) as disk:
        for name in names:
            _move(copy.root / ".flywheel" / name, disk.folder / name)
        full: list[FlywheelError] = []
        for turn, bytes_left in enumerate(leave):
            delay = 0.02 * turn

            def attack(trouble: object, delay: float = delay, bytes_left: int = bytes_left) -> None:
                time.sleep(delay)
                disk.fill(bytes_left)

            with beside(attack):
                full += attempt(copy, day.flows)
            disk.free()
        for error in full:
            assert isinstance(error, DiskFullError) or "archive" in error.what, repr(error)
            assert "full" in error.what or "no room" in error.what
            assert "free space" in error.next_step or "mend the sink" in error.next_step
        started = time.monotonic()
        until_done(copy, day.flows)
        seconds = time.monotonic() - started
        note(record, day, copy, f"the disk of the {what} is full", len(full), seconds)


def _move(place: Path, target: Path) -> None:
    if place.exists():
        shutil.move(place, target)
        place.symlink_to(target)


def test_a_full_lake(day: Day[Parcels], tmp_path: Path, record: Record) -> None:
    fill_the_disk(day, tmp_path, record, "lake", LAKE, [0, 5_000])


def test_a_full_metadata_database(day: Day[Parcels], tmp_path: Path, record: Record) -> None:
    fill_the_disk(day, tmp_path, record, "metadata", DATABASE, [0, 20_000])


@pytest.mark.chaos
def test_a_full_lake_again_and_again(long_day: Day[Parcels], tmp_path: Path, record: Record) -> None:
    fill_the_disk(long_day, tmp_path, record, "lake", LAKE, [0, 500, 5_000, 10_000, 20_000, 50_000] * 10)


@pytest.mark.chaos
def test_a_full_metadata_database_again_and_again(long_day: Day[Parcels], tmp_path: Path, record: Record) -> None:
    fill_the_disk(long_day, tmp_path, record, "metadata", DATABASE, [0, 500, 5_000, 10_000, 20_000, 50_000] * 10)


@pytest.mark.chaos
def test_a_full_disk_under_everything(long_day: Day[Parcels], tmp_path: Path, record: Record) -> None:
    names = (*LAKE, *DATABASE)
    fill_the_disk(long_day, tmp_path, record, "lake and the metadata", names, [0, 5_000, 20_000] * 20)
