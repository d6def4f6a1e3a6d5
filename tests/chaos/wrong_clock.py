"""A wall clock that tests set: every module of Flywheel that asks what time it is asks this one."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PACKAGES = ("flywheel", "flows", "tasks", "blocks")


@dataclass
class WrongClock:
    """Shows ``now``, a little later each time; at the reading number ``jump_at``, counted from 1, it goes back."""

    now: datetime
    back: timedelta = timedelta(hours=1)
    jump_at: int | None = None
    readings: int = 0
    jumps: int = 0

    def read(self) -> datetime:
        self.readings += 1
        if self.readings == self.jump_at:
            self.now -= self.back
            self.jumps += 1
        self.now += timedelta(milliseconds=1)
        return self.now

    def jump_again_at(self, reading: int) -> None:
        """Go back at the ``reading``-th look from now on."""
        self.jump_at = self.readings + reading


def modules_with_a_clock() -> list[str]:
    """Every module that asks for the wall clock; not those of commands, which runs do not use."""
    files = (file for package in _PACKAGES for file in (ROOT / package).rglob("*.py"))
    names = (
        ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if "datetime.now(" in file.read_text()
    )
    return sorted(name for name in names if not name.startswith("flywheel.cli."))


@contextmanager
def set_by(clock: WrongClock) -> Iterator[WrongClock]:
    """Let them all look at ``clock``."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock.read().astimezone(tz)

    with pytest.MonkeyPatch.context() as patch:
        for name in modules_with_a_clock():
            patch.setattr(importlib.import_module(name), "datetime", Clock)
        yield clock
