"""The tables about flights say what was measured."""

from __future__ import annotations

from pathlib import Path

import flights_page
import flights_replay
import pytest
from flights_open import Value, figures

from deployments.demo.figures import Figures as Quality

NEVER, MOST = Quality(0.70, 0.41), Quality(0.74, 0.39)


def test_a_gain_is_a_share_of_what_retraining_most_often_gains() -> None:
    years = {
        "every week": flights_replay.Year(48, MOST, NEVER),
        "a rule": flights_replay.Year(9, Quality(0.73, 0.395), NEVER),
    }
    lines = flights_page.retrains(years, "every week").splitlines()
    assert lines[2:] == [
        "| never | 0 | 0.700 | 0 | 0.410 | 0 |",
        "| a rule | 9 | 0.730 | 0.75 | 0.395 | 0.75 |",
        "| every week | 48 | 0.740 | 1.00 | 0.390 | 1.00 |",
    ]


def test_an_open_days_error_is_that_against_its_final_value() -> None:
    days = [Value(0.30, 0.40, 0.35, 0.45, final=0.42)] * 8 + [Value(0.40, 0.44, 0.43, 0.50, final=0.42)] * 2
    found = figures(days)
    assert (found.days, found.covered) == (3, pytest.approx(1 / 3))
    assert found.naive_bias == pytest.approx((-0.12 - 0.02 - 0.02) / 3)
    assert found.corrected_rmse == pytest.approx(0.02)
    assert "| log loss | 3 | -0.0533 |" in flights_page.open_days({"log_loss": found})


def test_the_page_has_a_place_for_both_tables(tmp_path: Path) -> None:
    page = tmp_path / "drift.md"
    page.write_text((Path(__file__).parents[3] / "docs" / "drift.md").read_text())
    flights_page.write(page, {"every week": flights_replay.Year(48, MOST, NEVER)}, "every week", {})
    assert "| every week | 48 | 0.740 | 1.00 | 0.390 | 1.00 |" in page.read_text()
