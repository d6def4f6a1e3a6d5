"""The ``feature-extraction`` stage: where a feature is in a record, its type, its rules and its transform."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flywheel.manifest.fields import Column, Spec
from flywheel.manifest.jsonpath import JsonPath

FeatureType = Literal["float", "integer", "boolean", "category"]


class Normalize(Spec):
    """(x - min) / (max - min)."""

    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min ({self.min}) must be below max ({self.max})")
        return self


class Standardize(Spec):
    """(x - mean) / std."""

    mean: float
    std: float = Field(gt=0)


class Log1p(Spec):
    """ln(1 + x); a record with x <= -1 is quarantined."""


class Clip(Spec):
    """min(max(x, min), max)."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min}) must not be above max ({self.max})")
        return self


class Bucketize(Spec):
    """The index of the bucket x falls in: 0 below the first boundary, ``len(boundaries)`` at or above the last."""

    boundaries: list[float] = Field(min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError("boundaries must grow strictly")
        return self


class OneHot(Spec):
    """One 0/1 model input per category; a value that is none of them gives all zeros."""

    categories: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("names a category twice")
        return self


class Transform(Spec):
    """Exactly one transform, e.g. ``{clip: {min: 0, max: 1}}`` or just ``log1p``."""

    normalize: Normalize | None = None
    standardize: Standardize | None = None
    log1p: Log1p | None = None
    clip: Clip | None = None
    bucketize: Bucketize | None = None
    one_hot: OneHot | None = None

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        if value == "log1p" or value == {"log1p": None}:
            return {"log1p": {}}
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one transform, got {', '.join(given) or 'none'}")
        return self

    @property
    def chosen(self) -> Normalize | Standardize | Log1p | Clip | Bucketize | OneHot:
        """The one transform that is set."""
        transforms = (self.normalize, self.standardize, self.log1p, self.clip, self.bucketize, self.one_hot)
        return next(transform for transform in transforms if transform is not None)


_DEFAULTS: dict[str, type | tuple[type, ...]] = {
    "float": (float, int),
    "integer": int,
    "boolean": bool,
    "category": str,
}


class Feature(Spec):
    """One feature: the column of this name in the prediction log holds its value after the transform.

    A value goes through these in order: a missing value or NaN becomes ``default`` where there is one; still missing,
    it is kept as null if ``nullable``, else the record is quarantined; ``type``, ``minimum``, ``maximum`` and
    ``categories`` are checked, and a record that breaks one is quarantined; then the transform is applied. So the rules
    are about the value in the record, never about the transformed one.
    """

    name: Column
    source_field: JsonPath = Field(description="Where the value is in a record")
    type: FeatureType = "float"
    transform: Transform | None = None
    nullable: bool = Field(default=False, description="Keep records where the value is missing or NaN, as null")
    default: float | int | bool | str | None = Field(default=None, description="Stands in for a missing value")
    minimum: float | None = Field(default=None, description="Records below it are quarantined")
    maximum: float | None = Field(default=None, description="Records above it are quarantined")
    categories: list[str] | None = Field(default=None, description="The values allowed for a category")
    on_unknown: Literal["quarantine", "keep"] = Field(
        default="quarantine", description="What happens to a record whose category is not in `categories`"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_hot_is_a_category(cls, value: Any) -> Any:
        transform = value.get("transform") if isinstance(value, dict) else None
        if isinstance(transform, dict) and "one_hot" in transform and "type" not in value:
            return {**value, "type": "category"}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_number = self.type in ("float", "integer")
        if self.categories is not None and self.type != "category":
            raise ValueError("categories need `type: category`")
        if not is_number and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"a {self.type} has no minimum or maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum ({self.minimum}) must not be above maximum ({self.maximum})")
        if self.transform is not None and self.type != "category" and self.transform.one_hot:
            raise ValueError("one_hot needs `type: category`")
        if self.transform is not None and not is_number and not self.transform.one_hot:
            raise ValueError(f"a {self.type} can't take this transform; only a number can")
        return self

    @model_validator(mode="after")
    def _default_obeys(self) -> Self:
        if self.default is None:
            return self
        if not isinstance(self.default, _DEFAULTS[self.type]) or isinstance(self.default, bool) != (
            self.type == "boolean"
        ):
            raise ValueError(f"the default {self.default!r} is not of `type: {self.type}`")
        allowed = self.categories if self.on_unknown == "quarantine" else None
        if allowed is not None and self.default not in allowed:
            raise ValueError(f"the default {self.default!r} is none of the categories")
        if isinstance(self.default, int | float) and not self._in_range(self.default):
            raise ValueError(f"the default {self.default!r} is below minimum or above maximum")
        return self

    def _in_range(self, value: float) -> bool:
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)


class FeatureConfig(Spec):
    features: list[Feature] = Field(min_length=1)
