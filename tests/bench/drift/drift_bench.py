"""``make bench-drift``: one seeded run of everything that docs/drift.md claims, its tables and its pictures."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

# Each process has one processor; before numpy and polars start their threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import drift_blocks as blocks
import drift_budget as budget
import drift_defaults as defaults
import drift_detection as detection
import drift_ours as ours
import drift_page as page
import drift_peers as peers
import drift_pictures as pictures
import drift_results as results
import drift_sizes as sizes
import polars as pl
from drift_shifts import SHIFTS
from drift_streams import FEATURES, WINDOW_ROWS, many_features
from peer_environments import FOLDER

Part = TypeVar("Part")

SEED = 20
ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
FILE = FOLDER / "drift.json"
TOOLS = (blocks.OURS, blocks.BONFERRONI, blocks.EVIDENTLY, blocks.NANNYML)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is simulated; ``block`` streams at a time are given to the tools."""

    processes: int
    budget_streams: int
    budget_checks: int
    streams: int
    checks: int
    quiet_streams: int
    quiet_rows: tuple[int, ...]
    block: int
    psi_windows: int


FULL = Sizes(2, 1_000, 100, 120, 20, 20, (200, WINDOW_ROWS), 4, 2_000)


@dataclass(frozen=True, slots=True)
class Streams:
    """Streams that every tool is run on, with the shifts of these names."""

    seed: int
    features: int
    checks: int
    rows: int
    shifts: tuple[str, ...]
    tools: tuple[peers.Peer, ...]
    folder: Path

    def scores(self, streams: range) -> pl.DataFrame:
        """What each tool says of a block of them."""
        shifts = [shift for shift in SHIFTS if shift.name in self.shifts]
        block = blocks.simulate(self.seed, streams, many_features(self.features), self.checks, self.rows, shifts)
        return blocks.run_tools(block, self.folder / f"{self.seed}-{self.rows}-{streams.start}", self.tools)


def measure(size: Sizes, tools: tuple[peers.Peer, ...], folder: Path) -> results.Results:
    """Simulate and compare; the same sizes and versions give the same numbers. The scores are left in the folder."""
    names = [shift.name for shift in SHIFTS]
    shifted = Streams(SEED, len(FEATURES), size.checks, WINDOW_ROWS, tuple(names), tools, folder)
    quiet = [Streams(SEED + rows, budget.FEATURES, size.checks, rows, (), tools, folder) for rows in size.quiet_rows]
    with _executor(size.processes) as executor:
        budgets = [_budgets(executor, size, rows) for rows in size.quiet_rows]
        compared = _scores(executor, shifted, size.streams, size.block)
        silent = [_scores(executor, each, size.quiet_streams, size.block) for each in quiet]
    found = [tool for tool in TOOLS if tool in compared["tool"].unique()]
    return results.Results(
        seed=SEED,
        made_with=results.made_with(tuple(package for peer in tools for package in peer.packages)),
        streams=size.streams,
        checks=size.checks,
        budgets=[each for found in budgets for each in found],
        defaults=[
            defaults.false_alarms(scores, each.features, each.rows) for scores, each in zip(silent, quiet, strict=True)
        ],
        found=defaults.found_shifts(compared, [detection.NONE, *names], len(FEATURES), WINDOW_ROWS),
        cells=detection.cells(compared, found),
        sizes=[sizes.false_alarms(SEED, rows, size.psi_windows) for rows in sizes.ROWS],
        bins=sizes.bin_choices(SEED),
    )


def report(found: results.Results, docs: Path = DOCS) -> None:
    """Write the page's tables and pictures."""
    page.write_tables(docs / "drift.md", found)
    pictures.draw_delays(docs / "images" / "drift-delays.png", found.cells)
    pictures.draw_sizes(docs / "images" / "drift-sizes.png", found.sizes, ours.ALPHA)


def _budgets(executor: Executor, size: Sizes, rows: int) -> list[budget.Budget]:
    one = partial(budget.p_values_of_stream, SEED, rows=rows, checks=size.budget_checks)
    found = executor.map(one, range(size.budget_streams), chunksize=10)
    return budget.summaries(_shown(found, f"budget, {rows} rows", size.budget_streams), rows)


def _shown(parts: Iterator[Part], what: str, count: int) -> list[Part]:
    """The parts, telling how far it is each time another tenth is there."""
    found = []
    for part in parts:
        found.append(part)
        if len(found) * 10 // count > (len(found) - 1) * 10 // count:
            print(f"{what}: {len(found):,} of {count:,}", file=sys.stderr, flush=True)
    return found


def _scores(executor: Executor, streams: Streams, count: int, block: int) -> pl.DataFrame:
    starts = [range(first, min(first + block, count)) for first in range(0, count, block)]
    what = f"{streams.features} features, {streams.rows} rows"
    found = pl.concat(_shown(executor.map(streams.scores, starts), what, len(starts)))
    found.write_parquet(streams.folder / f"drift-scores-{streams.features}-{streams.rows}.parquet")
    return found


@contextmanager
def _executor(processes: int) -> Iterator[Executor]:
    if processes == 1:
        with ThreadPoolExecutor(1) as executor:
            yield executor
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as executor:
            yield executor


def main() -> None:
    """Run, and write .flywheel/bench/drift.json, the tables and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only-report", action="store_true", help="tables and pictures of the last run again")
    parser.add_argument("--processes", type=int, default=FULL.processes, help="the numbers do not depend on it")
    asked = parser.parse_args()
    if not asked.only_report:
        for peer in peers.PEERS:
            peer.environment.python()
        measure(replace(FULL, processes=asked.processes), peers.PEERS, FOLDER).save(FILE)
    report(results.load(FILE))
    print(f"{FILE.relative_to(ROOT)}, the tables of docs/drift.md and its pictures are written")


if __name__ == "__main__":
    main()
