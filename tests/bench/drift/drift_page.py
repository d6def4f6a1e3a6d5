"""The tables of docs/drift.md, each between HTML comments that name it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from drift_blocks import BONFERRONI, EVIDENTLY, EVIDENTLY_DATASET, NANNYML, OURS, SCIPY
from drift_budget import Budget
from drift_defaults import FEWER, Default
from drift_detection import Cell
from drift_results import Results
from drift_sizes import Bins, FalseAlarms

PEERS = (BONFERRONI, EVIDENTLY, NANNYML)
ALL = (OURS, SCIPY, BONFERRONI, EVIDENTLY, EVIDENTLY_DATASET, NANNYML)


def write_tables(page: Path, results: Results) -> None:
    """Put every table in its place; a page without a place for one is an error."""
    text = page.read_text()
    for name, table in tables(results).items():
        pattern = re.compile(rf"(?<=<!-- make bench-drift writes {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        found = pattern.search(text)
        assert found, f"no place for {name} in {page}"
        text = text[: found.start()] + table + "\n" + text[found.end() :]
    page.write_text(text)


def tables(results: Results) -> dict[str, str]:
    """Markdown by name."""
    return {
        "budget": budget_table(results.budget),
        "defaults": defaults_table(results.defaults),
        "detection": detection_table(results.cells),
        "found": found_table(results.found),
        "sizes": sizes_table(results.sizes),
        "bins": bins_table(results.bins),
        "versions": _versions(results),
    }


def _versions(results: Results) -> str:
    made_with = ", ".join(f"{name} {each}" for name, each in results.made_with.items())
    streams = f"{results.streams} streams of {results.checks} checks"
    return f"Below: {streams} under each shift, seed {results.seed}; {made_with}."


def budget_table(budget: Budget) -> str:
    verdict = "within" if budget.is_within else "below it" if budget.is_kept else "**above it**"
    row = (
        f"{budget.streams:,}",
        f"{budget.checks:,}",
        f"{budget.allowed:,.0f}",
        f"{budget.low:,} to {budget.high:,}",
        f"{budget.alarms:,}",
        verdict,
        f"{budget.spread:.2f}",
    )
    heads = ("streams", "checks", "allowed", "95% interval", "false alarms", "the goal", "variance over streams / mean")
    return _table(heads, [row])


def defaults_table(defaults: Sequence[Default]) -> str:
    rows = []
    for each in defaults:
        for tool in ALL:
            if tool not in each.rates:
                continue
            rate = each.rates[tool]
            row = (f"{each.rows:,}", tool, f"{each.checks:,}", _percent(rate), f"{rate * 30:.1f}")
            rows.append((*row, "" if tool == OURS else _times(each, tool)))
    heads = ("rows", "tool at its defaults", "checks", "with a false alarm", "in 30 daily checks", "times ours")
    return _table(heads, rows)


def detection_table(cells: Sequence[Cell]) -> str:
    heads = ("shift", "Flywheel: power", "mean delay (median)", *(f"{tool}: delay, ours / its" for tool in PEERS))
    by_shift: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        by_shift.setdefault(cell.shift, {})[cell.tool] = cell
    rows = []
    for shift, tools in by_shift.items():
        ours = tools[OURS]
        peers = [_against(tools[tool]) if tool in tools else "" for tool in PEERS]
        rows.append((shift, _percent(ours.power), f"{ours.delay:.2f} ({ours.median:g})", *peers))
    return _table(heads, rows)


def found_table(found: Sequence[Default]) -> str:
    tools = [tool for tool in ALL if tool in found[0].rates]
    rows = [(each.shift, *(_percent(each.rates[tool]) for tool in tools)) for each in found]
    return _table(("shift", *tools), rows)


def sizes_table(sizes: Sequence[FalseAlarms]) -> str:
    heads = ("rows", "PSI > 0.1", "Flywheel, 1 per 30d", "mean PSI", "corrected", "windows")
    rows = [
        (
            f"{each.rows:,}",
            _percent(each.plain),
            _percent(each.ours),
            f"{each.mean:.3f}",
            f"{each.corrected:.3f}",
            f"{each.windows:,}",
        )
        for each in sizes
    ]
    return _table(heads, rows)


def bins_table(bins: Sequence[Bins]) -> str:
    heads = ("bins from", "mean +1 sd", "the same and one row of 10⁴", "mean +0.5 sd", "mean +5 sd")
    rows = [(b.name, f"{b.one:.3f}", f"{b.outlier:.3f}", f"{b.half:.3f}", f"{b.five:.2f}") for b in bins]
    return _table(heads, rows)


def _against(cell: Cell) -> str:
    ratio = f"{cell.ratio:.2f} ({cell.low:.2f}–{cell.high:.2f})"
    return f"{cell.delay:.2f}, {ratio}" if cell.is_met else f"{cell.delay:.2f}, **{ratio} not met**"


def _times(default: Default, tool: str) -> str:
    if not default.rates[tool]:
        return "none: what it finds is below"
    times = default.times_ours(tool)
    return f"{times:.1f}" if times >= FEWER else f"**{times:.1f}: under {FEWER}**"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
