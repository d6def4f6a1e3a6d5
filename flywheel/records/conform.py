"""One feature: from the values found in the records to the column of the prediction log."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flywheel.manifest.features import Feature, Log1p
from flywheel.manifest.schema import COLUMN_TYPES
from flywheel.records.complaints import Complaint
from flywheel.records.masks import is_null, is_true
from flywheel.records.transform import apply_transform
from flywheel.records.typed import read_typed

_WRONG_TYPE = {
    "float": "is not a number",
    "integer": "is not a whole number",
    "boolean": "is neither true nor false",
    "category": "is not a text",
}


@dataclass(frozen=True)
class Conformed:
    """The logged column, and what is wrong with the records that it can't be logged for."""

    values: pl.Series
    complaints: list[Complaint]


def conform(feature: Feature, found: pl.Series) -> Conformed:
    """Read, check and transform one feature's values; the rules are checked before the transform.

    >>> done = conform(Feature(name="share", source_field="$.share", maximum=1), pl.Series(["0.5", "7"]))
    >>> done.values.to_list(), [(c.where.to_list(), c.says) for c in done.complaints]
    ([0.5, 7.0], [([False, True], 'is above the maximum 1')])
    """
    typed = read_typed(found, feature.type)
    values = _with_default(feature, typed.values, typed.wrong)
    complaints = [Complaint(typed.wrong, feature.name, _WRONG_TYPE[feature.type], found)]
    missing = is_null(values)
    if not feature.nullable:
        complaints.append(Complaint(missing & ~typed.wrong, feature.name, "is missing"))
    # A comparison with null is null, and null and not true is not true.
    broken = _broken_rules(feature, values)
    complaints += [Complaint(where & ~missing, feature.name, says, found) for where, says in broken]
    logged = values
    if feature.transform is not None:
        logged = apply_transform(values, feature.transform.chosen)
        complaints += _overflows(feature, values, logged)
    return Conformed(logged.alias(feature.name), [complaint for complaint in complaints if complaint.where.any()])


def _with_default(feature: Feature, values: pl.Series, wrong: pl.Series) -> pl.Series:
    if feature.default is None or not values.has_nulls():
        return values
    default = pl.Series([feature.default], strict=False).cast(COLUMN_TYPES[feature.type])
    return values.zip_with(~is_null(values) | wrong, default.new_from_index(0, len(values)))


def _broken_rules(feature: Feature, values: pl.Series) -> list[tuple[pl.Series, str]]:
    broken: list[tuple[pl.Series, str]] = []
    if feature.minimum is not None:
        broken.append((values < feature.minimum, f"is below the minimum {feature.minimum:g}"))
    if feature.maximum is not None:
        broken.append((values > feature.maximum, f"is above the maximum {feature.maximum:g}"))
    if feature.categories is not None and feature.on_unknown == "quarantine":
        broken.append((~values.is_in(feature.categories), "is none of the categories"))
    if feature.transform is not None and isinstance(feature.transform.chosen, Log1p):
        broken.append((values <= -1, "is not above -1, as log1p needs it"))
    return broken


def _overflows(feature: Feature, values: pl.Series, logged: pl.Series) -> list[Complaint]:
    """A finite value can leave the range of floats on its way; beyond log1p's domain it has been reported already."""
    if not logged.dtype.is_float() or (feature.transform is not None and feature.transform.log1p is not None):
        return []
    return [Complaint(is_true(~logged.is_finite()), feature.name, "is too large for its transform", values)]
