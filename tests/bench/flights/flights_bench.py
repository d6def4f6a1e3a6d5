"""``make bench-drift``'s part on real flights: rules about when to retrain, and days measured before all have landed.

Each part is kept in ``.flywheel/bench/flights/`` when it is done, so that a run that was stopped goes on from there;
remove the folder to measure anew.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import flights_page
from flights_open import Figures, figures, open_days
from flights_replay import Document, Edit, Year, drift_of, replay
from pydantic import TypeAdapter

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / ".flywheel" / "bench" / "flights"
PAGE = ROOT / "docs" / "drift.md"
WEEKLY = "every week"
T = TypeVar("T")


def deciding(**config: object) -> Edit:
    """Replace what the manifest says about when to act on drift."""

    def edit(document: Document) -> None:
        drift = drift_of(document)
        for name in ("thresholds", "cooldown"):
            drift.pop(name, None)
        drift.update(config)
        document["spec"]["performance"] = {"window": "7d", "tolerance": 0.03}

    return edit


RULES: Mapping[str, Edit] = {
    "psi > 0.25 alone": deciding(thresholds={"psi": 0.25}),
    "psi > 0.25, cooldown 35d": deciding(thresholds={"psi": 0.25}, cooldown="35d"),
    "harm, cooldown 21d": deciding(act_on="harm", cooldown="21d"),
}


def main() -> None:
    """Measure what has not been measured yet, and write the tables."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    days = _part("open", dict[str, Figures], _open_days)
    years = {rule: _part(rule, Year, _replaying(False, edit)) for rule, edit in RULES.items()}
    years[WEEKLY] = _part(WEEKLY, Year, _replaying(True))
    flights_page.write(PAGE, years, WEEKLY, days)


def _open_days(folder: Path) -> dict[str, Figures]:
    return {name: figures(values) for name, values in open_days(folder / "open").items()}


def _replaying(is_weekly: bool, *edits: Edit) -> Callable[[Path], Year]:
    return lambda folder: replay(folder / "year", is_weekly, *edits)


def _part(name: str, kind: type[T], measure: Callable[[Path], T]) -> T:
    """What is kept of an earlier run, or measured now."""
    kept, adapter = RESULTS / f"{name.translate(_PLAIN)}.json", TypeAdapter(kind)
    if not kept.exists():
        print(f"flights: {name} …", flush=True)
        folder = Path(tempfile.mkdtemp())
        try:
            kept.write_bytes(adapter.dump_json(measure(folder), indent=2))
        finally:
            shutil.rmtree(folder)
    return adapter.validate_json(kept.read_bytes())


_PLAIN = str.maketrans(dict.fromkeys(" >.,;:/", "-"))

if __name__ == "__main__":
    main()
