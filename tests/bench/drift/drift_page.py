"""The tables of docs/drift.md, each between HTML comments that name it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from drift_blocks import BONFERRONI, EVIDENTLY, EVIDENTLY_DATASET, NANNYML, OURS, SCIPY
from drift_budget import Budget
from drift_defaults import Default
from drift_detection import Cell
from drift_ours import CHECKS_IN_BUDGET
from drift_results import Results
from drift_sizes import Bins, FalseAlarms

PEERS = (BONFERRONI, EVIDENTLY, NANNYML)
FEWER = 10
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
        "budget": budget_table(results.budgets),
        "defaults": defaults_table(results.defaults, results.budgets),
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


def budget_table(budgets: Sequence[Budget]) -> str:
    rows = [
        (
            f"{each.rows:,}",
            each.schedule,
            f"{each.streams:,}",
            f"{each.checks:,}",
            f"{each.allowed:,.0f}",
            f"{each.low:,} to {each.high:,}",
            f"{each.alarms:,}",
            "within" if each.is_within else "below it" if each.is_kept else "**above it**",
            f"{each.spread:.2f}",
        )
        for each in budgets
    ]
    counts = ("streams", "checks", "allowed", "95% interval", "false alarms", "the goal", "variance / mean by stream")
    return _table(("rows", "checked", *counts), rows)


def defaults_table(defaults: Sequence[Default], budgets: Sequence[Budget]) -> str:
    rows = []
    for each in defaults:
        ours = {budget.schedule: budget.alarms_in_30_days for budget in budgets if budget.rows == each.rows}
        for tool in ALL:
            if tool not in each.rates:
                continue
            rate = each.rates[tool]
            row = [f"{each.rows:,}", tool, f"{each.checks:,}", _percent(rate)]
            for schedule, checks in CHECKS_IN_BUDGET.items():
                is_ours = tool == OURS
                alarms = ours[schedule] if is_ours else rate * checks
                row += [f"{alarms:.1f}", "" if is_ours else _times(alarms, ours[schedule])]
            rows.append(row)
    heads = ["rows", "tool at its defaults", "checks", "with a false alarm"]
    for schedule in CHECKS_IN_BUDGET:
        heads += [f"in 30 days, {schedule} checks", "times ours"]
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


def _times(alarms: float, ours: float) -> str:
    if not alarms:
        return "none: what it finds is below"
    times = alarms / ours if ours else float("inf")
    return f"{times:.1f}" if times >= FEWER else f"**{times:.1f}: under {FEWER}**"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
