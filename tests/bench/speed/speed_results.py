"""What ``make bench`` measured, as a file that the page is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from speed_line import Line


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of one module; ``when`` it was measured (ISO, UTC), and in how many seconds."""

    name: str
    when: str
    seconds: float
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Results:
    """``made_with``: the machine and the versions of the last part that was measured."""

    made_with: Mapping[str, str]
    parts: list[Part]

    @property
    def lines(self) -> list[Line]:
        return [line for part in self.parts for line in part.lines]

    def with_part(self, part: Part, made_with: Mapping[str, str], order: Sequence[str]) -> Results:
        """The part in the place of what was measured of it before."""
        kept = [each for each in self.parts if each.name != part.name and each.name in order]
        return Results(made_with, sorted([*kept, part], key=lambda each: order.index(each.name)))

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")


def load(path: Path) -> Results:
    """Read what ``save`` wrote."""
    found = json.loads(path.read_text())
    parts = [Part(**(each | {"lines": [Line(**line) for line in each["lines"]]})) for each in found["parts"]]
    return Results(found["made_with"], parts)
