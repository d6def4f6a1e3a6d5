"""What labelled rows count while others wait: bounded, one when all is in, and never without a class."""

from __future__ import annotations

import numpy as np
import pytest

from flywheel.performance.answers import AnswerBins
from flywheel.performance.intervals import LabelledWindow, estimate
from flywheel.performance.metrics import ClassRows, ValueRows
from flywheel.performance.weights import Arrivals, inverse_arrival, value_strata, youngest_measurable
from flywheel.training.evaluate import score_metrics


def arrivals(stratum: list[int], delay: list[float], age: list[float]) -> Arrivals:
    return Arrivals(np.array(stratum), np.array(delay), np.array(age), np.ones(len(age)), 24.0)


def test_rows_count_by_what_has_arrived_of_their_class() -> None:
    """Class 0 is labelled at once; of class 1, half within 2 hours and half after 10."""
    labels = arrivals([0, 0, 1, 1, 1, 1], [0, 0, 2, 2, 10, 10], [90] * 6)
    curves = labels.curves()
    age = np.array([1.0, 5.0, 5.0, 12.0, 90.0])
    assert inverse_arrival(curves, np.array([0, 0, 1, 1, 1]), age, 24.0).tolist() == [1, 1, 2, 1, 1]
    assert youngest_measurable(curves, 24.0) == 2.0


def test_labels_of_absence_hold_a_class_back() -> None:
    """Nine in ten of class 1 are told by absence, at the end: until then it can't be measured."""
    labels = arrivals([0] * 5 + [1] * 20, [1.0] * 5 + [2.0] + [24.0] * 19, [90.0] * 25)
    assert youngest_measurable(labels.curves(), 24.0) == 24.0


def test_with_all_labels_in_it_is_scikit_learn_and_counts_by_confidence() -> None:
    random = np.random.default_rng(5)
    truth = random.random(400) < 0.4
    score = np.clip(random.normal(np.where(truth, 0.6, 0.4), 0.2), 0, 1)
    confidence = random.choice([0.5, 1.0], 400)
    labels = Arrivals(truth.astype(np.int64), random.uniform(0, 24, 400), np.full(400, 99.0), confidence, 24.0)
    rows = ClassRows(truth, score, (score > 0.5) == truth)
    found = estimate(LabelledWindow(labels, np.arange(400), rows), seed=0)
    wanted = score_metrics(truth, score, confidence)
    assert {name: found.metrics[name].value for name in wanted} == pytest.approx(wanted)
    assert found.rows == 400
    for interval in found.metrics.values():
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low < interval.value < interval.high


def test_rows_too_young_for_a_class_are_left_out() -> None:
    labels = arrivals([0, 1, 0, 1, 0, 0], [1, 12, 1, 12, 1, 1], [90, 90, 90, 90, 5, 11])
    window = LabelledWindow(labels, np.array([4, 5]), ValueRows(np.zeros(2)))
    found = estimate(window, seed=0)
    assert (found.metrics, found.rows, found.youngest) == ({}, 0, 12.0)


def test_a_large_window_is_drawn_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval of a closed window is as wide as that of all its rows; its value is that of all rows."""
    random = np.random.default_rng(6)
    error = random.normal(0, 1, 4000)
    labels = Arrivals(np.zeros(4000, dtype=np.int64), np.ones(4000), np.full(4000, 99.0), np.ones(4000), 24.0)
    window = LabelledWindow(labels, np.arange(4000), ValueRows(error))
    whole = estimate(window, seed=1).metrics["mae"]
    monkeypatch.setattr("flywheel.performance.intervals.MOST_DRAWN", 1000)
    part = estimate(window, seed=1).metrics["mae"]
    assert part.value == whole.value
    assert (part.high or 0) - (part.low or 0) == pytest.approx((whole.high or 0) - (whole.low or 0), rel=0.25)


def test_bins_of_values_come_from_closed_windows() -> None:
    reference = np.arange(300.0)
    assert value_strata(np.array([-9.0, 29.0, 31.0, 299.0, 1e9]), reference).tolist() == [0, 0, 1, 9, 9]
    assert value_strata(np.array([-9.0, 1e9]), reference[:40]).tolist() == [0, 0]
    assert value_strata(np.array([0.0, 7.0]), np.zeros(900)).tolist() == [1, 1]


def test_the_youngest_rows_are_stood_for_by_those_that_the_model_thinks_alike() -> None:
    """None of the last quarter has a label yet, and it is much worse than the rest, as its scores say."""
    random = np.random.default_rng(8)
    age = np.repeat([20.0, 0.5], [6000, 2000])
    score = np.clip(random.beta(1, 6, 8000) + (age < 1) * 0.3, 0.01, 0.99)
    truth = random.random(8000) < score
    delay = random.uniform(1, 10, 8000)
    here = delay < age
    labels = Arrivals(truth[here].astype(np.int64), delay[here], age[here], np.ones(int(here.sum())), 24.0)
    rows = ClassRows(truth[here], score[here], (score[here] > 0.5) == truth[here])
    everything = float(ClassRows(truth, score, (score > 0.5) == truth).metrics(np.ones(8000))["log_loss"])
    alone = LabelledWindow(labels, np.arange(labels.age.size), rows)
    matched = LabelledWindow(labels, alone.members, rows, AnswerBins.of(score[here], score))
    without, found = (estimate(window, seed=0).metrics["log_loss"] for window in (alone, matched))
    assert without.value < everything - 0.05
    assert found.value == pytest.approx(everything, abs=0.02)
    assert found.low is not None
    assert found.high is not None
    assert found.low < everything < found.high


def test_bins_of_answers_without_a_label_have_nobody_to_stand_for_them() -> None:
    bins = AnswerBins.of(np.array([0.1, 0.1, 0.9]), np.array([0.1, 0.1, 0.5, 0.5, 0.9, 0.9]))
    spread = bins.spread(np.array([[1.0, 3.0, 1.0], [1.0, 1.0, 0.0]]))
    assert (spread / spread.sum(axis=1, keepdims=True)).tolist() == [[0.125, 0.375, 0.5], [0.5, 0.5, 0]]
