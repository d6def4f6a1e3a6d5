"""Measures of drift, one a file. A new one implements ``Measure`` and takes one line in ``MEASURES``."""

from __future__ import annotations

from collections.abc import Mapping

from flywheel.drift.measures.comparison import Comparison, Measure
from flywheel.drift.measures.js_divergence import JsDivergence
from flywheel.drift.measures.kl_divergence import KlDivergence
from flywheel.drift.measures.ks import KolmogorovSmirnov
from flywheel.drift.measures.missing_rate import MissingRate
from flywheel.drift.measures.psi import Psi

MEASURES: Mapping[str, Measure] = {
    "psi": Psi(),
    "kl_divergence": KlDivergence(),
    "js_divergence": JsDivergence(),
    "ks": KolmogorovSmirnov(),
    "missing_rate": MissingRate(),
}


def measure_all(comparison: Comparison) -> dict[str, float | None]:
    """Every measure of one feature, None where it is undefined: no rows, or a measure for another kind of feature."""
    if comparison.is_empty:
        return dict.fromkeys(MEASURES)
    return {name: measure.value(comparison) for name, measure in MEASURES.items()}
