"""Collects what each fault did to the loop, and prints it as a table at the end.

The modules of tests/flows and tests/servers, and the fixtures of the latter, are importable because of this file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "flows"))
sys.path.insert(0, str(Path(__file__).parent.parent / "servers"))
sys.path.insert(0, str(Path(__file__).parent))

from fixtures import embedded, hosted, postgresql, s3, undisturbed
from outcome import Outcome, as_table, combined, read_table

__all__ = ["embedded", "hosted", "postgresql", "s3", "undisturbed"]

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "reliability.md"
_TABLE = re.compile(r"(?<=<!-- make chaos writes this table -->\n).*?(?=<!-- end -->)", re.DOTALL)
_OURS = "flywheel_outcome"


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[Outcome], None]:
    """Give the table a row."""

    def add(outcome: Outcome) -> None:
        request.node.user_properties.append((_OURS, asdict(outcome)))

    return add


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", action="store_true", help="write the table of faults to docs/reliability.md")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcomes = combined(
        Outcome(**value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == _OURS
    )
    if not outcomes:
        return
    terminalreporter.section("faults")
    terminalreporter.write_line(as_table(outcomes))
    if config.getoption("--write-table", default=False):
        _write(outcomes)
        terminalreporter.write_line(f"written to {_PAGE.relative_to(_ROOT)}")


def _write(outcomes: list[Outcome]) -> None:
    """Put the rows into the page; one there stays until its fault is tried again."""
    page = _PAGE.read_text()
    found = _TABLE.search(page)
    assert found, f"no place for a table in {_PAGE}"
    tried = {(each.fault, each.stack) for each in outcomes}
    others = [each for each in read_table(found[0]) if (each.fault, each.stack) not in tried]
    _PAGE.write_text(page[: found.start()] + as_table([*others, *outcomes]) + "\n" + page[found.end() :])
