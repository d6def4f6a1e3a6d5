"""Line 9: where the time of ``flywheel demo`` goes, by what Prefect's own server has noted of its runs and steps."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from speed_line import Line, at_most

_MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Sizes:
    """The year is what it is; ``goal``: seconds that it may take."""

    goal: float


FULL = Sizes(goal=300)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds: the whole command, the runs of each flow, the steps of each name (inside the runs)."""

    whole: float
    flows: Mapping[str, float]
    steps: Mapping[str, float]

    @property
    def orchestration(self) -> float:
        """What the runs spent outside of their steps, in seconds: Prefect's time, artifacts, opening the pipeline."""
        return sum(self.flows.values()) - sum(self.steps.values())


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Run the demo once."""
    place = folder / "flights"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    began = time.monotonic()
    command = [str(Path(sys.executable).with_name("flywheel")), "demo"]
    subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    spent = spent_in(place / ".flywheel" / "demo" / ".flywheel" / "prefect" / "prefect.db", time.monotonic() - began)
    shutil.rmtree(place)
    return lines_of(spent, sizes)


def lines_of(spent: Spent, sizes: Sizes) -> list[Line]:
    """The whole, and what of it is not the flows' own work."""
    flows, steps = _told(spent.flows), _told(spent.steps)
    share = 100 * spent.orchestration / spent.whole
    return [
        at_most("9", "flywheel demo, a year of flights", spent.whole, "s", sizes.goal, f"runs: {flows}"),
        at_most("9", "orchestration in the demo's runs", share, "%", 25, f"steps: {steps}"),
    ]


def spent_in(database: Path, whole: float) -> Spent:
    """Read the runs and the steps of a Prefect server that has stopped."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        flows = connection.execute(_FLOWS).fetchall()
        steps = connection.execute(_STEPS).fetchall()
    return Spent(whole, dict(flows), dict(steps))


def _told(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {each:.0f} s" for name, each in list(seconds.items())[:_MOST_NAMED])


_SECONDS = "sum(julianday(end_time) - julianday(start_time)) * 86400"
_FLOWS = f"""
SELECT flow.name, {_SECONDS} AS seconds FROM flow_run JOIN flow ON flow.id = flow_run.flow_id
WHERE end_time IS NOT NULL GROUP BY flow.name ORDER BY seconds DESC
"""
# Prefect names a task run by its task and three random letters.
_STEPS = f"""
SELECT substr(name, 1, length(name) - 4) AS step, {_SECONDS} AS seconds FROM task_run
WHERE end_time IS NOT NULL GROUP BY step ORDER BY seconds DESC
"""
