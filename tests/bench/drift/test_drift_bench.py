"""A slice of ``make bench-drift`` without the peers' environments: the harness works and ours keeps its budget."""

from __future__ import annotations

from pathlib import Path

import drift_bench
import drift_blocks
import drift_budget
import drift_detection
import drift_page
import drift_results
import numpy as np
import pytest
from drift_streams import draw_rows, labels_of
from scipy import stats

SLICE = drift_bench.Sizes(1, 5, 60, 4, 4, 1, (200,), 4, 10)


# The bench's own small run; what it measures is asserted of the rules in tests/drift.
_SMALL_RUN = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> drift_results.Results:
    return drift_bench.measure(SLICE, (), tmp_path_factory.mktemp("bench"))


@_SMALL_RUN
def test_false_alarms_stay_in_the_budget(found: drift_results.Results) -> None:
    for each in found.budgets:
        low, high = stats.poisson.interval(0.999, each.allowed)
        assert low <= each.alarms <= high, each


@_SMALL_RUN
def test_a_large_shift_is_found_at_once(found: drift_results.Results) -> None:
    large = [cell for cell in found.cells if cell.shift == "normal, mean +0.5 sd"]
    assert {cell.tool for cell in large} == {drift_blocks.OURS, drift_blocks.BONFERRONI}
    assert all(cell.power == 1 and cell.delay == 1 for cell in large)


@_SMALL_RUN
def test_what_no_feature_shows_is_not_found_in_features(found: drift_results.Results) -> None:
    unseen = next(cell for cell in found.cells if cell.kind == "label" and cell.tool == drift_blocks.OURS)
    assert unseen.power == pytest.approx(drift_detection.RATE, abs=0.1)


@_SMALL_RUN
def test_an_outlier_and_bins_of_the_window_do_not_hide_a_shift(found: drift_results.Results) -> None:
    ours = next(each for each in found.bins if each.name.startswith("Flywheel"))
    assert ours.outlier == pytest.approx(ours.one, rel=0.01)
    assert min(ours.half, ours.five) > 0.2


@_SMALL_RUN
def test_results_are_kept_and_every_table_has_its_place(found: drift_results.Results, tmp_path: Path) -> None:
    found.save(tmp_path / "drift.json")
    assert drift_results.load(tmp_path / "drift.json") == found
    (tmp_path / "images").mkdir()
    (tmp_path / "drift.md").write_text((drift_bench.DOCS / "drift.md").read_text())
    drift_bench.report(found, tmp_path)
    page = (tmp_path / "drift.md").read_text()
    assert all(table in page for table in drift_page.tables(found).values())
    assert len(list((tmp_path / "images").glob("drift-*.png"))) == 2


def test_a_stream_is_the_same_whatever_block_it_is_in() -> None:
    features = drift_budget.many_features(4)
    block = drift_blocks.simulate(3, range(2), features, 1, 10)
    alone = drift_blocks.simulate(3, range(1, 2), features, 1, 10)
    assert block.windows.filter(stream=1).equals(alone.windows)


def test_the_pair_is_correlated() -> None:
    rows = draw_rows(np.random.default_rng(1), 20_000)
    assert np.corrcoef(rows["amount"], rows["pair"])[0, 1] == pytest.approx(0.7, abs=0.02)


def test_labels_turn_round_and_the_rows_stay() -> None:
    rows = draw_rows(np.random.default_rng(1), 20_000)
    before, after = (labels_of(rows, np.random.default_rng(2), sign) for sign in (1.0, -1.0))
    assert np.corrcoef(rows["amount"], before)[0, 1] > 0.3
    assert np.corrcoef(rows["amount"], after)[0, 1] < -0.3
