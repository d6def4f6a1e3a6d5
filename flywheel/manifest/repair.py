"""A guess at what a broken document meant, so that one run tells what is wrong behind the first mistake too."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flywheel.manifest.cel import CelText
from flywheel.manifest.explain import document_in, field_problems, parts_problems, tags_of
from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.locate import Place, locate, value_at
from flywheel.manifest.problems import Path, Problem, path_text
from flywheel.manifest.yaml_text import Node

_ROUNDS = 3
_STAND_INS = {JsonPath: "$.unknown", CelText: "true"}


@dataclass(frozen=True)
class Diagnosis:
    """The problems of a document, and what it probably means (None: who knows), to check it with the others."""

    problems: list[Problem]
    meant: BaseModel | None


def diagnose(error: ValidationError, model: type[BaseModel], data: Any, root: Node, file: str) -> Diagnosis:
    """Find the problems behind ``error``, and those that it hides.

    A misspelt field, choice or stage type becomes the nearest one, a JSONPath or a condition gets a stand-in, and a
    field with a default is left out. What then is wrong inside a renamed part, or between parts, is real as well.
    """
    problems = {problem.path: problem for problem in field_problems(error, model, root, file)}
    guess = copy.deepcopy(data)
    opened: list[str] = []
    meant = document_in(error)
    for _ in range(_ROUNDS):
        opened += [path_text(path) for path in _repairs(guess, error, model)]
        try:
            meant = model.model_validate(guess)
            break
        except ValidationError as next_error:
            error = next_error
            meant = document_in(error)
        for problem in field_problems(error, model, root, file):
            if problem.path.startswith(tuple(opened)):
                problems.setdefault(problem.path, problem)
    return Diagnosis([*problems.values(), *parts_problems(error, root, file)], meant)


def _repairs(guess: Any, error: ValidationError, model: type[BaseModel]) -> Iterator[Path]:
    unknown_first = sorted(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
    for details in unknown_first:
        yield from _repair(guess, details, locate(model, details["loc"]))


def _repair(guess: Any, details: ErrorDetails, place: Place) -> list[Path]:
    """Repair one place of ``guess``, if it can be; return the paths whose inside pydantic has not looked at yet."""
    is_tag = details["type"] == "union_tag_invalid"
    path = (*place.path, "type") if is_tag else place.path
    if not path or details["type"] == "missing":
        return []
    parent, step = value_at(guess, path[:-1]), path[-1]
    if details["type"] == "extra_forbidden" or place.is_key:
        return _rename(parent, path, place.choices if place.is_key else place.fields)
    choices = tags_of(details) if is_tag else place.choices
    stand_in = _STAND_INS.get(place.annotation) or nearest(str(value_at(guess, path)), choices)
    if stand_in is not None and isinstance(parent, dict | list):
        parent[step] = stand_in  # type: ignore[index]  # a list's step is its index, a mapping's its key
    elif isinstance(parent, dict) and _has_default(place):
        parent.pop(step, None)
    return [place.path] if is_tag else []


def _rename(parent: Any, path: Path, names: Iterable[str]) -> list[Path]:
    if not isinstance(parent, dict):
        return []
    value = parent.pop(path[-1], None)
    meant = nearest(str(path[-1]), [name for name in names if name not in parent])
    if meant is None:
        return []
    parent[meant] = value
    return [(*path[:-1], meant)]


def _has_default(place: Place) -> bool:
    is_part = isinstance(place.annotation, type) and issubclass(place.annotation, BaseModel)
    return place.field is not None and not place.field.is_required() and not is_part


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that a misspelt name most likely means."""
    close = difflib.get_close_matches(name, list(choices), n=1)
    return close[0] if close else None
