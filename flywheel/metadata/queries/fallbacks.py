"""Rows without a prediction of the model itself, in the ledger's counts of a committed batch of records."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func

from flywheel.metadata.schema import Batch


def count(name: str) -> ColumnElement[int]:
    """One count of a batch; 0 for a batch that was committed before it was counted."""
    return func.coalesce(Batch.counts[name].as_integer(), 0)


def fallback_rows() -> ColumnElement[int]:
    """Rows that a fallback answered, logged or in the dead-letter queue."""
    return count("fallback") + count("dead_letters")


def waiting_rows() -> ColumnElement[int]:
    """Those that the model has not scored since, and of which the lake still has the features."""
    return fallback_rows() - count("rescored") - count("unscorable")
