"""How much a model depends on each feature: what drift there can cost it."""

from __future__ import annotations

import numpy as np
import polars as pl

from flywheel.training.evaluate import evaluate
from flywheel.training.fit import FittedModel

# Bounds what a retrain pays for it; the rows are the newest of the hold-out.
MOST_ROWS = 5_000
REPEATS = 5
_LOSS = {"classification": "log_loss", "regression": "rmse"}


def permutation_importance(model: FittedModel, rows: pl.DataFrame) -> dict[str, float]:
    """Return what shuffling each feature adds to the model's loss on rows that it has not learned from.

    The log loss of a classification, the root mean squared error of a regression. 0 where it adds no more than chance
    would, two standard errors over ``REPEATS`` shuffles: the model ignores the feature. Empty for an anomaly detector
    and where the rows can't tell. The shuffles are seeded.

    References
    ----------
    L. Breiman, Random forests, 2001. A. Fisher, C. Rudin and F. Dominici, All models are wrong, but many are useful,
    2019.
    """
    loss = _LOSS.get(model.task)
    used = rows.tail(MOST_ROWS)
    whole = evaluate(model, used).metrics.get(loss) if loss else None
    if loss is None or whole is None:
        return {}
    found = {}
    for name in (part.feature for part in model.encoding.inputs):
        shuffled = (used.with_columns(pl.col(name).shuffle(seed)) for seed in range(REPEATS))
        added = np.array([evaluate(model, each).metrics[loss] - whole for each in shuffled])
        error = added.std(ddof=1) / REPEATS**0.5
        found[name] = float(added.mean()) if added.mean() > 2 * error else 0.0
    return found
