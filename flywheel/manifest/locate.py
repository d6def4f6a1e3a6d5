"""From the location of a pydantic error to the path in the YAML, and to what is allowed there."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from flywheel.manifest.problems import Path


@dataclass(frozen=True)
class Place:
    """A part of a document.

    ``annotation`` is the type expected there (None for an unknown field), ``owner`` the model that the last step is a
    field of, and ``field`` that field; ``is_key`` says that a mapping's key is meant, not the value under it.
    """

    path: Path
    annotation: Any
    owner: type[BaseModel] | None
    field: FieldInfo | None
    is_key: bool = False

    @property
    def is_secret(self) -> bool:
        return self.annotation is SecretStr

    @property
    def choices(self) -> tuple[str, ...]:
        """The values allowed where there are only a few."""
        if get_origin(self.annotation) is Literal:
            return tuple(str(choice) for choice in get_args(self.annotation))
        return ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The names allowed beside the last step."""
        return tuple(self.owner.model_fields) if self.owner else ()


def locate(model: type[BaseModel], loc: Sequence[str | int]) -> Place:
    """Follow ``loc`` through the types of ``model``; tags of unions and names of alternatives are no part of the path.

    >>> from flywheel.manifest.pipeline import Pipeline
    >>> locate(Pipeline, ("spec", "stages", 0, "ml-inference", "config", "fallback")).path
    ('spec', 'stages', 0, 'config', 'fallback')
    """
    place = Place((), model, None, None)
    for step, after in zip(loc, [*loc[1:], ""], strict=False):
        following = _step(place, step, about_key=after == "[key]")
        if following is None:
            break
        place = following
    return place


def _step(place: Place, step: str | int, *, about_key: bool) -> Place | None:
    expected = place.annotation
    if _is_union(expected):
        member = next((m for m in get_args(expected) if _has_tag(m, step)), None)
        return Place(place.path, member, None, place.field) if member else None
    path = (*place.path, step)
    if isinstance(expected, type) and issubclass(expected, BaseModel):
        field = expected.model_fields.get(str(step))
        return Place(path, _plain(field.annotation) if field else None, expected, field)
    if get_origin(expected) is list and isinstance(step, int):
        return Place(path, _plain(get_args(expected)[0]), None, None)
    if get_origin(expected) is dict:
        key, value = get_args(expected)
        return Place(path, _plain(key if about_key else value), None, None, is_key=about_key)
    return None


def _plain(annotation: Any) -> Any:
    """Without Annotated and without ``| None``."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if _is_union(annotation):
        members = [member for member in get_args(annotation) if member is not types.NoneType]
        return _plain(members[0]) if len(members) == 1 else annotation
    return annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _has_tag(member: Any, tag: str | int) -> bool:
    field = member.model_fields.get("type") if isinstance(member, type) and issubclass(member, BaseModel) else None
    return field is not None and tag in get_args(field.annotation)


def value_at(data: Any, path: Path) -> Any:
    """What the document holds at ``path``, or None."""
    for step in path:
        inside = isinstance(data, Mapping) and step in data
        if not inside and not (isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data)):
            return None
        data = data[step]
    return data
