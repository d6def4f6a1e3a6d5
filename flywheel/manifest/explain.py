"""From pydantic's errors to problems: in a manifest's words, each with its line, its value and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flywheel.errors import did_you_mean
from flywheel.manifest.locate import Place, locate, value_at
from flywheel.manifest.problems import Finding, PartsError, Path, Problem, path_text
from flywheel.manifest.yaml_text import Node
from flywheel.redact import hide_passwords

_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "finite": "a finite number",
    "dict": "a mapping of fields",
    "model": "a mapping of fields",
    "datetime": "a time such as 2013-01-31T00:00:00Z",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def field_problems(error: ValidationError, model: type[BaseModel], root: Node, file: str) -> list[Problem]:
    """What is wrong with single fields of ``root``; several alternatives that all failed are one problem."""
    messages: dict[Path, list[str]] = {}
    shown: dict[Path, str] = {}
    for details in error.errors():
        if _parts_error(details) is None:
            found = locate(model, details["loc"])
            messages.setdefault(found.path, []).append(_message(details, found))
            hidden = found.is_secret or found.is_key or details["type"] in ("extra_forbidden", "missing")
            shown[found.path] = "" if hidden else show(value_at(root.value, found.path))
    return [
        Problem(file, root.line_of(path), path_text(path), shown[path], _together(each))
        for path, each in messages.items()
    ]


def parts_problems(error: ValidationError, root: Node, file: str) -> list[Problem]:
    """What is wrong between parts that are each valid."""
    return [place(finding, root, file) for finding in findings_in(error)]


def document_in(error: ValidationError) -> BaseModel | None:
    """The document whose parts are each valid but do not fit together."""
    causes = (_parts_error(details) for details in error.errors())
    return next((cause.document for cause in causes if cause is not None), None)


def findings_in(error: ValidationError) -> list[Finding]:
    """The findings of the checks between parts."""
    causes = (_parts_error(details) for details in error.errors())
    return [finding for cause in causes if cause is not None for finding in cause.findings]


def place(finding: Finding, root: Node, file: str) -> Problem:
    """Give a finding its line and value in the document as written."""
    value = show(value_at(root.value, finding.path))
    return Problem(file, root.line_of(finding.path), path_text(finding.path), value, finding.message)


def show(value: Any) -> str:
    """A value as a person wrote it, cut to 80 characters; nothing for a mapping or a list."""
    if value is None or isinstance(value, dict | list):
        return ""
    text = hide_passwords(str(value).lower() if isinstance(value, bool) else str(value))
    return text if len(text) <= 80 else f"{text[:79]}…"


def _parts_error(details: ErrorDetails) -> PartsError | None:
    cause = details.get("ctx", {}).get("error")
    return cause if isinstance(cause, PartsError) else None


def _message(details: ErrorDetails, place: Place) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing" or kind == "union_tag_not_found":
        return "is missing" if kind == "missing" else "needs a `type`"
    if kind == "extra_forbidden":
        name = str(place.path[-1])
        return f"is not a field here{did_you_mean(name, place.fields)}; allowed: {', '.join(place.fields)}"
    if kind == "literal_error":
        return (
            f"is not allowed{did_you_mean(str(details['input']), place.choices)}; allowed: {', '.join(place.choices)}"
        )
    if kind == "union_tag_invalid":
        tag, tags = str(context["tag"]), tags_of(details)
        return f"has an unknown type {tag!r}{did_you_mean(tag, tags)}; allowed: {', '.join(tags)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        return f"must be {word} {_limit(context[bound])}"
    if kind == "too_short":
        return f"needs at least {context['min_length']} entry"
    if kind == "string_pattern_mismatch":
        described = place.field.description if place.field and place.field.description else ""
        return f"must be {described}" if described else f"does not fit {context['pattern']}"
    if kind == "string_type" and isinstance(details["input"], bool | int | float | date):
        return "must be text; put it in quotes"
    return _type_message(kind, details["msg"])


def _type_message(kind: str, message: str) -> str:
    word = _KINDS.get(kind.split("_")[0]) if kind.endswith(("_type", "_parsing", "_from_float", "_number")) else None
    return f"must be {word}" if word else message[:1].lower() + message[1:]


def tags_of(details: ErrorDetails) -> list[str]:
    """The ``type`` values that a union of parts takes."""
    return [tag.strip().strip("'") for tag in str(details["ctx"]["expected_tags"]).split(",")]


def _limit(bound: Any) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _together(messages: Iterable[str]) -> str:
    """Join the messages of alternatives: "must be text, a number or true or false"."""
    unique = list(dict.fromkeys(messages))
    if len(unique) == 1 or not all(message.startswith("must be ") for message in unique):
        return "; ".join(unique)
    words = [message.removeprefix("must be ") for message in unique]
    if _KINDS["float"] in words:
        words = [word for word in words if word != _KINDS["int"]]
    return f"must be {', '.join(words[:-1])} or {words[-1]}"
