"""A model that says what it knows shows no decay, however hard its rows are; one whose answers are off does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from flywheel.performance.decay import STRETCHES, Decay, decay_of_scores, decay_of_values
from flywheel.performance.delays import Floats
from flywheel.training.correction import correct_odds, log_odds


def logistic(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)))


def stream(seed: int, says: float = 0.0, sure: float = 1.0, mood: float = 0.0) -> Decay:
    """Two weeks of a model whose log odds are off by ``says`` and ``sure`` times too large; ``mood``: a day's own."""
    random = np.random.default_rng(seed)
    odds = random.normal(-1.5, 1, (14, 200))
    truth = random.random((14, 200)) < logistic(odds + random.normal(0, mood, (14, 1)))
    times = np.arange(14)[:, None] + np.linspace(0, 0.99, 200)
    score = logistic(odds * sure + says)
    found = decay_of_scores(times.ravel(), truth.ravel(), score.ravel(), np.ones(truth.size))
    assert found is not None
    return found


def test_the_loss_and_the_correction_are_scikit_learns() -> None:
    random = np.random.default_rng(1)
    score, weights = random.uniform(0.01, 0.99, 800), random.random(800)
    truth = random.random(800) < score**2
    found = decay_of_scores(np.arange(800.0), truth, score, weights)
    odds = np.log(score / (1 - score))[:, None]
    theirs = LogisticRegression(C=np.inf).fit(odds, truth, sample_weight=weights)
    corrected = theirs.predict_proba(odds)[:, 1]
    assert found is not None
    assert (found.intercept, found.slope) == pytest.approx((theirs.intercept_[0], theirs.coef_[0, 0]), rel=0.01)
    assert found.loss == pytest.approx(log_loss(truth, score, sample_weight=weights), rel=1e-6)
    saved = found.loss - log_loss(truth, corrected, sample_weight=weights)
    assert found.saved == pytest.approx(saved, rel=1e-3)


@pytest.mark.parametrize("mood", [0.0, 0.3])
def test_its_level(mood: float) -> None:
    """Also where a day's rows have something in common: they are not taken for so many independent ones."""
    p_values = np.array([stream(seed, mood=mood).p_value for seed in range(400)])
    # 99.9% of the binomial: 400 x 0.05, and as much again for the mood's own skewness.
    assert (p_values < 0.05).sum() <= (35 if mood == 0 else 50)
    assert p_values.mean() > 0.4


@pytest.mark.parametrize("holdout", [300, 3000])
def test_what_was_so_from_the_start_is_no_decay(holdout: int) -> None:
    """A model that is too sure of itself, and whose hold-out said so: however few rows that had, the level holds."""
    p_values, raw = [], []
    for seed in range(300):
        random = np.random.default_rng(seed)
        odds = random.normal(-1.5, 1, 2800 + holdout)
        truth, score = random.random(odds.size) < logistic(odds), logistic(2 * odds)
        first = correct_odds(log_odds(score[:holdout]), truth[:holdout].astype(float), np.ones(holdout))
        new = np.linspace(0, 14, 2800), truth[holdout:], score[holdout:], np.ones(2800)
        found, without = decay_of_scores(*new, first), decay_of_scores(*new)
        assert found is not None
        assert without is not None
        p_values.append(found.p_value)
        raw.append(without.p_value)
    # 99.9% of the binomial: 300 x 0.05, and a few more since the F distribution is approximate.
    assert np.sum(np.array(p_values) < 0.05) <= 30
    assert np.mean(np.array(raw) < 0.05) > 0.99


def test_an_odd_week_in_the_hold_out_makes_no_decay_of_the_next_ordinary_one() -> None:
    """Nobody was late in it, so the hold-out says that all scores are far too high; they are not."""
    random = np.random.default_rng(0)
    odds = random.normal(-1.5, 1, 5600)
    truth, score = random.random(odds.size) < logistic(odds), logistic(odds)
    odd = random.random(2800) < logistic(odds[:2800] - 2)
    first = correct_odds(log_odds(score[:2800]), odd.astype(float), np.ones(2800))
    assert first.intercept < -1.5
    found = decay_of_scores(np.linspace(0, 14, 2800), truth[2800:], score[2800:], np.ones(2800), first)
    assert found is not None
    assert found.share < 0.01
    assert found.p_value > 0.05


@pytest.mark.parametrize(("says", "sure"), [(-1, 1), (1, 1), (0, 2), (0, 0.4)])
def test_answers_that_are_off(says: float, sure: float) -> None:
    found = stream(3, says=says, sure=sure)
    assert found.p_value < 0.01
    assert found.share > 0.02
    assert found.slope == pytest.approx(1 / sure, rel=0.15)


def test_rows_that_are_hard_to_tell_are_no_decay() -> None:
    random = np.random.default_rng(2)
    found = decay_of_scores(
        np.arange(2800.0), random.random(2800) < 0.5, random.uniform(0.499, 0.501, 2800), np.ones(2800)
    )
    assert found is not None
    assert found.loss == pytest.approx(np.log(2), rel=0.01)
    assert found.share < 0.005
    assert found.p_value > 0.01


def test_values() -> None:
    random = np.random.default_rng(4)
    times, truth = np.arange(1400.0), random.normal(5, 2, 1400)
    kept = decay_of_values(times, truth + random.normal(0, 1, 1400), truth, np.ones(1400))
    broken = decay_of_values(times, truth + 1 + random.normal(0, 1, 1400), truth, np.ones(1400))
    assert kept is not None
    assert broken is not None
    assert kept.p_value > 0.01
    assert broken.p_value < 1e-6
    assert broken.saved == pytest.approx(1, rel=0.2)
    assert broken.intercept == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("times", [[], [1.0], [1.0] * 50, [0.0, 1.0, 2.0, 14.0]])
def test_too_little_to_tell(times: list[float]) -> None:
    number = len(times)
    assert decay_of_scores(np.array(times), np.ones(number, bool), np.full(number, 0.5), np.ones(number)) is None


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("truth", [True, False])
def test_the_same_answer_for_all(score: float, truth: bool) -> None:
    number = 20 * STRETCHES
    found = decay_of_scores(np.arange(float(number)), np.full(number, truth), np.full(number, score), np.ones(number))
    assert found is not None
    assert np.isfinite([found.loss, found.saved, found.intercept, found.slope, found.p_value]).all()
    assert (found.p_value < 0.01) == (abs(score - truth) > 1e-3)


def test_rows_that_count_nothing() -> None:
    times = np.arange(float(STRETCHES))
    truth, score = np.ones(STRETCHES, bool), np.full(STRETCHES, 0.5)
    assert decay_of_scores(times, truth, score, np.zeros(STRETCHES)) is None
