"""How answers look: JSON for programs, tables for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH = 100
NOTHING = "–"
COLOURS = {
    "critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "drift": "red", "no_drift": "green",
    "champion": "green", "candidate": "yellow", "rejected": "red", "archived": "dim",
    "pending": "yellow", "approved": "green", "declined": "red", "open": "red", "half_open": "yellow",
}  # fmt: skip


def print_json(answer: object) -> None:
    """Print an answer (dataclasses, lists and mappings of them) as JSON; NaN becomes null, times are ISO 8601."""
    from pydantic_core import to_json

    sys.stdout.write(to_json(answer, indent=2, inf_nan_mode="null", serialize_unknown=True).decode() + "\n")


def console() -> Console:
    """Return the console that answers are printed on: as wide as the terminal, 100 columns in a pipe."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)


def table(*columns: str, title: str | None = None, numbers: Iterable[str] = ()) -> Table:
    """Return an empty table; ``numbers`` names the columns that are aligned to the right.

    Names (the first column), numbers and times stay on one line; what else is too wide is folded.
    """
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    right = set(numbers)
    for place, column in enumerate(columns):
        made.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=place == 0 or column in right or column.endswith("(UTC)"),
            overflow="fold",
            header_style="bold",
        )
    return made


def add_row(to: Table, *cells: object) -> None:
    """Add a row of values, written as ``show`` does."""
    to.add_row(*(show(cell) for cell in cells))


def print_facts(facts: Mapping[str, object], title: str | None = None) -> None:
    """Print names and values, one a line."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(name, show(value))
    out = console()
    if title:
        out.print(f"[bold]{escaped(title)}[/]")
    out.print(grid)


def show(value: object) -> str:
    """Write a value for a person, as rich markup.

    >>> show(12345), show(0.25), show(None), show(datetime(2013, 2, 1, 6, 30, tzinfo=UTC)), show(["a", "b"])
    ('12,345', '0.25', '–', '2013-02-01 06:30', 'a, b')
    """
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple):
        return ", ".join(show(each) for each in value) or NOTHING
    return _coloured(str(value))


def ago(seconds: float | None) -> str:
    """Write an age in its largest unit.

    >>> ago(42), ago(60 * 90), ago(86400 * 3), ago(None)
    ('42 s ago', '90 min ago', '3 d ago', '–')
    """
    if seconds is None:
        return NOTHING
    for unit, size, limit in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < size * limit:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds // 86400)} d ago"


def counts(of: Mapping[str, Any]) -> str:
    """Write counts on one line: "3 archived, 1 champion"."""
    return ", ".join(f"{show(number)} {name}" for name, number in of.items()) or NOTHING


def say(lines: str | Sequence[str]) -> None:
    """Print plain lines, at once: whoever reads a pipe wants to see how far a long command is."""
    for line in [lines] if isinstance(lines, str) else lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def escaped(text: str) -> str:
    """Return the text with nothing in it that rich would take for markup."""
    from rich.markup import escape

    return escape(text)


def _coloured(text: str) -> str:
    colour = COLOURS.get(text)
    words = escaped(text.replace("_", " ")) if text in COLOURS else escaped(text)
    return f"[{colour}]{words}[/]" if colour else words
