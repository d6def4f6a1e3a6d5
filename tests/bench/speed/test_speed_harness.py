"""The harness that every line of ``make bench`` is measured by."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from speed_line import at_least, at_most
from speed_page import markdown_table, plain_table, write
from speed_results import Part, Results, load
from speed_run import Contender, compare

HERE = "test_speed_harness"


def busy(seconds: float) -> Callable[[], object]:
    def call() -> object:
        print("what a contender prints is no answer")
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return seconds

    return call


def large(mebibytes: int) -> Callable[[], object]:
    return lambda: len(bytearray(b"x" * (mebibytes << 20)))


def failing() -> Callable[[], object]:
    raise ValueError("no such column: amount")


def test_costs_are_of_the_call_alone() -> None:
    contenders = [Contender(name, f"{HERE}:busy", {"seconds": seconds}) for name, seconds in (("a", 0.05), ("b", 0.2))]
    costs = compare(contenders, runs=3)
    assert costs["b"].cpu / costs["a"].cpu == pytest.approx(4, rel=0.4)
    assert [costs["a"].returned, costs["b"].returned] == [0.05, 0.2]


def test_peak_memory_is_each_contenders_own() -> None:
    contenders = [
        Contender(name, f"{HERE}:large", {"mebibytes": size}) for name, size in (("small", 1), ("large", 200))
    ]
    costs = compare(contenders, runs=1, warm_ups=0)
    assert costs["large"].peak > 200 << 20 > costs["small"].peak


def test_a_contender_that_fails_is_named() -> None:
    with pytest.raises(RuntimeError, match="broken"):
        compare([Contender("broken", f"{HERE}:failing", {})])


def test_the_table_says_what_is_met_and_is_measured_again_part_by_part(tmp_path: Path) -> None:
    lines = [at_most("3", "append", 1.5, "×", 1.3, "first tenth"), at_least("5", "rows", 600_000, "rows/s", 500_000)]
    parts = [
        Part("log", "2026-01-01T00:00+00:00", 1.0, lines[:1]),
        Part("batch", "2026-01-01T00:00+00:00", 1.0, lines[1:]),
    ]
    results = Results({}, [])
    for part in reversed(parts):
        results = results.with_part(part, {"python": "3.11"}, ("log", "batch"))
    results.save(tmp_path / "speed.json")
    assert load(tmp_path / "speed.json") == results == Results({"python": "3.11"}, parts)
    assert "| 3 | append | 1.5 × | ≤ 1.3 × | **no** | first tenth |" in markdown_table(results)
    assert plain_table(results).endswith("1 of 2 goals met")
    faster = Part("log", "2026-01-02T00:00+00:00", 1.0, [at_most("3", "append", 1.1, "×", 1.3)])
    assert plain_table(results.with_part(faster, {}, ("log", "batch"))).endswith("2 of 2 goals met")
    page = Path(__file__).parents[3] / "docs" / "performance.md"
    (tmp_path / "performance.md").write_text(page.read_text())
    write(tmp_path, results)
    assert markdown_table(results) in (tmp_path / "performance.md").read_text()
    assert json.loads((tmp_path / "speed.json").read_text())["made_with"] == {"python": "3.11"}
    assert (tmp_path / "images" / "performance.png").stat().st_size > 1_000
