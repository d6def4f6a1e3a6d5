"""Measures of drift, one a file. A new one implements ``Measure`` and takes one line in ``MEASURES``."""

from __future__ import annotations

from collections.abc import Mapping

from flywheel.drift.measures.chi_square import ChiSquare
from flywheel.drift.measures.comparison import Comparison, Measure
from flywheel.drift.measures.hellinger import Hellinger
from flywheel.drift.measures.js_divergence import JsDivergence
from flywheel.drift.measures.kl_divergence import KlDivergence
from flywheel.drift.measures.ks import KolmogorovSmirnov
from flywheel.drift.measures.missing_rate import MissingRate
from flywheel.drift.measures.psi import Psi
from flywheel.drift.measures.total_variation import TotalVariation
from flywheel.drift.measures.unseen_rate import UnseenRate
from flywheel.drift.measures.wasserstein import Wasserstein

MEASURES: Mapping[str, Measure] = {
    "psi": Psi(),
    "kl_divergence": KlDivergence(),
    "js_divergence": JsDivergence(),
    "hellinger": Hellinger(),
    "total_variation": TotalVariation(),
    "chi_square": ChiSquare(),
    "ks": KolmogorovSmirnov(),
    "wasserstein": Wasserstein(),
    "missing_rate": MissingRate(),
    "unseen_rate": UnseenRate(),
}


def measure_all(comparison: Comparison) -> dict[str, float | None]:
    """Every measure of one feature, None where it is undefined: no rows, or a measure for another kind of feature."""
    if comparison.is_empty:
        return dict.fromkeys(MEASURES)
    return {name: measure.value(comparison) for name, measure in MEASURES.items()}


def correct_all(measures: Mapping[str, float | None], comparison: Comparison) -> dict[str, float | None]:
    """The same measures without what chance adds to them."""
    return {
        name: None if (value := measures[name]) is None else measure.corrected(value, comparison)
        for name, measure in MEASURES.items()
    }
