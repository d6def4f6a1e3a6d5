"""What one run found, as a file that the page and the pictures are made from."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from drift_budget import Budget
from drift_defaults import Default
from drift_detection import Cell
from drift_sizes import Bins, FalseAlarms


@dataclass(frozen=True, slots=True)
class Results:
    """``made_with``: the machine and the versions."""

    seed: int
    made_with: dict[str, str]
    streams: int
    checks: int
    budgets: list[Budget]
    defaults: list[Default]
    found: list[Default]
    cells: list[Cell]
    sizes: list[FalseAlarms]
    bins: list[Bins]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")


def load(path: Path) -> Results:
    """Read what ``save`` wrote."""
    found = json.loads(path.read_text())
    lists = {
        "budgets": Budget,
        "defaults": Default,
        "found": Default,
        "cells": Cell,
        "sizes": FalseAlarms,
        "bins": Bins,
    }
    made = {name: [kind(**each) for each in found[name]] for name, kind in lists.items()}
    return Results(**(found | made))


def made_with(packages: tuple[str, ...] = ()) -> dict[str, str]:
    """The machine and the versions that a result depends on; the peers' are those they were asked for."""
    ours = {name: version(name) for name in ("flywheel-batch", "polars", "numpy", "scipy")}
    peers = dict(package.split("==") for package in packages)
    machine = {"machine": platform.machine(), "processors": str(os.cpu_count()), "python": platform.python_version()}
    return machine | ours | {name: peers[name] for name in ("evidently", "nannyml") if name in peers}
