"""A guess at what a broken document meant, so that what is wrong between its parts is told in the same run."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flywheel.manifest.cel import CelText
from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.locate import Place, locate, value_at

_STAND_INS = {JsonPath: "$.unknown", CelText: "true"}


def repaired(data: Any, model: type[BaseModel], error: ValidationError) -> Any | None:
    """Return a copy of ``data`` with a guess for each field in ``error``, or None where there is no safe one.

    A misspelt field or choice becomes the nearest one, a JSONPath or a condition gets a stand-in, and a field that has
    a default is left out: none of these causes an error that the document as meant would not have.
    """
    fixed = copy.deepcopy(data)
    unknown_first = sorted(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
    return fixed if all(_repair(fixed, details, locate(model, details["loc"])) for details in unknown_first) else None


def _repair(fixed: Any, details: ErrorDetails, place: Place) -> bool:
    if not place.path:
        return False
    kind = details["type"]
    path = (*place.path, "type") if kind == "union_tag_invalid" else place.path
    parent, step = value_at(fixed, path[:-1]), path[-1]
    if kind == "missing":
        return isinstance(parent, dict) and step in parent
    if kind == "extra_forbidden":
        return _rename(parent, str(step), place.fields)
    choices = tags_of(details) if kind == "union_tag_invalid" else place.choices
    stand_in = _STAND_INS.get(place.annotation) or nearest(str(value_at(fixed, path)), choices)
    if stand_in is not None and isinstance(parent, dict | list):
        parent[step] = stand_in  # type: ignore[index]  # a list's step is its index, a mapping's its key
        return True
    if isinstance(parent, dict) and _has_default(place):
        parent.pop(step, None)
        return True
    return False


def _rename(parent: Any, name: str, fields: Iterable[str]) -> bool:
    if not isinstance(parent, dict):
        return False
    value = parent.pop(name, None)
    meant = nearest(name, [field for field in fields if field not in parent])
    if meant is not None:
        parent[meant] = value
    return True


def _has_default(place: Place) -> bool:
    is_part = isinstance(place.annotation, type) and issubclass(place.annotation, BaseModel)
    return place.field is not None and not place.field.is_required() and not is_part


def nearest(name: str, choices: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(choices), n=1)
    return close[0] if close else None


def tags_of(details: ErrorDetails) -> list[str]:
    """The ``type`` values that a union of parts takes."""
    return [tag.strip().strip("'") for tag in str(details["ctx"]["expected_tags"]).split(",")]
