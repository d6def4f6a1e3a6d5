"""The table and the picture of docs/performance.md, and the same table in the terminal."""

from __future__ import annotations

import math
import re
from pathlib import Path

from speed_line import Line
from speed_results import Results

_HEADS = ("", "what", "figure", "goal", "met", "beside")


def write(docs: Path, results: Results) -> None:
    """Put the table between its comments in performance.md, and draw images/performance.png."""
    page = docs / "performance.md"
    text = page.read_text()
    for name, made in {"versions": _versions(results), "table": markdown_table(results)}.items():
        pattern = re.compile(rf"(?<=<!-- make bench writes {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        found = pattern.search(text)
        assert found, f"no place for {name} in {page}"
        text = text[: found.start()] + made + "\n" + text[found.end() :]
    page.write_text(text)
    draw(docs / "images" / "performance.png", results.lines)


def markdown_table(results: Results) -> str:
    """Every line; what misses its goal stands out."""
    rows = [_cells(line, "yes" if line.is_met else "**no**") for line in results.lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in [_HEADS, ("---",) * 2 + ("---:",) * 2 + ("---",) * 2, *rows])


def plain_table(results: Results) -> str:
    """For the terminal; ends with how many goals are met."""
    rows = [_HEADS[:-1], *(_cells(line, "yes" if line.is_met else "NO")[:-1] for line in results.lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    met = sum(line.is_met for line in results.lines)
    return "\n".join([*table, f"{met} of {len(results.lines)} goals met"])


def draw(path: Path, lines: list[Line]) -> None:
    """How far each line is from its goal, as a factor: to the right is better than the goal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.6 + 0.24 * max(len(lines), 1)), layout="constrained")
    axes = figure.subplots()
    margins = [max(min(_margin(line), 100), 0.01) for line in lines]
    axes.barh(range(len(lines)), [math.log10(each) for each in margins], color=[_color(line) for line in lines])
    axes.set_yticks(range(len(lines)), [f"{line.issue}  {line.what}" for line in lines], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    ticks = [0.1, 0.5, 1, 2, 5, 10, 100]
    axes.set_xticks([math.log10(tick) for tick in ticks], [f"{tick:g}×" for tick in ticks], fontsize=7)
    axes.set_xlabel("better than its goal by (left of 1×: worse)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _margin(line: Line) -> float:
    if not line.figure or not line.goal:
        return 100.0 if line.is_met else 0.01
    return line.goal / line.figure if line.at_most else line.figure / line.goal


def _color(line: Line) -> str:
    return "#2a7f62" if line.is_met else "#b5483a"


def _cells(line: Line, met: str) -> tuple[str, ...]:
    sign = "≤" if line.at_most else "≥"
    goal = f"{sign} {_number(line.goal)} {line.unit}"
    return (line.issue, line.what, f"{_number(line.figure)} {line.unit}", goal, met, line.beside)


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _versions(results: Results) -> str:
    made_with = ", ".join(f"{name} {each}" for name, each in results.made_with.items())
    measured = ", ".join(f"{part.name} {part.when} ({part.seconds:,.0f} s)" for part in results.parts)
    return f"Made with {made_with}.\nMeasured: {measured}."
