"""Rows at which a conversion goes wrong first: right at the splits, missing values, very large and very small ones."""

from __future__ import annotations

import numpy as np

from flywheel.conversion.trees import Ensemble, Floats

ROWS, AT_SPLITS = 2_000, 10_000
_EDGES = np.array([np.nan, 0.0, -0.0, 5e-324, -5e-324, 1e-30, 1.0, -1.0, 1e29, -1e29, 2.0**53 + 1.0, 1.0 + 2.0**-40])


def probes(rows: Floats, ensemble: Ensemble) -> Floats:
    """Return rows to compare two forms of a model on, ``[n, width]``; the same for the same model and rows.

    Parameters
    ----------
    rows
        What the model learned from, encoded; at least one row. Up to 2,000 of them, spread evenly, are taken as they
        are, and changed in one column each: to a value of the edges, and to a threshold of ``ensemble``, the floats
        beside it and its nearest in single precision (a row moved across a threshold goes another way).
    """
    sample = rows[np.linspace(0, len(rows) - 1, min(len(rows), ROWS)).astype(int)]
    edges = np.tile(_EDGES, rows.shape[1])
    at_edges = _changed(sample, np.repeat(np.arange(rows.shape[1]), _EDGES.size), edges)
    whole = np.repeat(_EDGES[:, np.newaxis], rows.shape[1], axis=1)
    return np.concatenate([sample, at_edges, whole, _at_splits(sample, ensemble)])


def _at_splits(sample: Floats, ensemble: Ensemble) -> Floats:
    is_usable = np.isfinite(ensemble.threshold)
    splits = np.unique(np.stack([ensemble.feature[is_usable], ensemble.threshold[is_usable]], axis=1), axis=0)
    splits = np.random.default_rng(0).permutation(splits)[: AT_SPLITS // 4]
    columns, at = splits[:, 0].astype(int), splits[:, 1]
    beside = [at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf), at.astype(np.float32).astype(np.float64)]
    return _changed(sample, np.tile(columns, len(beside)), np.concatenate(beside))


def _changed(sample: Floats, columns: np.ndarray[tuple[int], np.dtype[np.int_]], values: Floats) -> Floats:
    """Rows of the sample, in turn, each with one column set to a value."""
    changed = sample[np.arange(len(values)) % len(sample)]
    changed[np.arange(len(values)), columns] = values
    return changed
