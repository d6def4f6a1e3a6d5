"""Writes ``docs/manifest.md``: every field of a manifest and of the documents beside it, from the models themselves.

``python -m flywheel.manifest.reference docs/manifest.md`` brings the page up to date; a test says when it is not.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from flywheel.manifest import (
    documents,
    drift,
    features,
    feedback,
    inference,
    performance,
    pipeline,
    retention,
    training,
)
from flywheel.manifest.cel import CelText
from flywheel.manifest.jsonpath import JsonPath


@dataclass(frozen=True)
class Section:
    """A model of the page: ``where`` it stands in a manifest."""

    title: str
    where: str
    model: type[BaseModel]

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9 -]", "", self.title.lower()).replace(" ", "-")


SECTIONS = (
    Section("Metadata", "`metadata` of every document", documents.Metadata),
    Section("Pipeline", "`spec` of `kind: FlywheelPipeline`", pipeline.PipelineSpec),
    Section("Features", "`config` of a stage `type: feature-extraction`", features.FeatureConfig),
    Section("Feature", "each of `features`", features.Feature),
    Section("Transform", "`transform` of a feature", features.Transform),
    Section("Inference", "`config` of the stage `type: ml-inference`", inference.InferenceConfig),
    Section("Circuit breaker", "`circuit_breaker`", inference.CircuitBreaker),
    Section("Output field", "each value of `outputs`", inference.OutputField),
    Section("Drift", "`config` of the stage `type: drift-detection`", drift.DriftConfig),
    Section("Feedback", "`spec.feedback`, or `config` of a stage `type: feedback-join`", feedback.FeedbackConfig),
    Section("Label rule", "each of `labels`", feedback.LabelRule),
    Section("Payload field", "each value of `payload`", feedback.PayloadField),
    Section(
        "Training export",
        "`spec.training_export`, or `config` of a stage `type: training-export`",
        training.ExportConfig,
    ),
    Section("Sampling", "`sampling`", training.Sampling),
    Section("Training", "`spec.training`, or `spec` of `kind: Training`", training.TrainingConfig),
    Section("Bootstrap", "`bootstrap`", training.Bootstrap),
    Section("Gate", "`gate`", training.Gate),
    Section("Performance", "`performance`", performance.PerformanceConfig),
    Section("Sink reference", "each of `sinks`", pipeline.SinkRef),
    Section("Batch", "`batch`", pipeline.Batching),
    Section("Retention", "`retention`", retention.Retention),
    Section("Schedules", "`schedules`", pipeline.Schedules),
    Section("Source: files", "`spec` of `kind: Source`", documents.FilesSourceSpec),
    Section("Source: sql", "`spec` of `kind: Source`", documents.SqlSourceSpec),
    Section("Source: kafka", "`spec` of `kind: Source`", documents.KafkaSourceSpec),
    Section("Kafka security", "`security` of a Kafka source", documents.KafkaSecurity),
    Section("Sink: table", "`spec` of `kind: Sink`", documents.TableSinkSpec),
    Section("Sink: webhook", "`spec` of `kind: Sink`", documents.WebhookSinkSpec),
    Section("Sink: log", "`spec` of `kind: Sink`", documents.LogSinkSpec),
    Section("Model server", "`spec` of `kind: ModelServer`", documents.ModelServerSpec),
    Section("Storage", "`spec` of `kind: Storage`", documents.StorageSpec),
)

_HEAD = """\
# The manifest

This page is generated: `python -m flywheel.manifest.reference docs/manifest.md`.

A file holds one or more YAML documents, each with `apiVersion: flywheel-ml.io/v1`, a `kind`, `metadata` and a `spec`.
One is the pipeline (`kind: FlywheelPipeline`); the others (`Source`, `Sink`, `ModelServer`, `Storage`, `Training`) say
what its names stand for, and may be in files of their own. `flywheel validate -f` names every error with its file,
line, path and value; an unknown field is an error. `${NAME}` in a text of a Source, Sink,
ModelServer or Storage is read from the environment.

| written as | means |
|---|---|
| name | lower-case letters, digits and hyphens, at most 63 |
| column | letters, digits and underscores, and none of the prediction log's own columns |
| JSONPath | a singular query of RFC 9535: `$.metrics.cpu`, `$['odd name']`, `$.list[0]` |
| CEL | a condition in the Common Expression Language: `prediction.score > 0.8 && region in ['eu', 'us']` |
| duration | `30s`, `15m`, `36h`, `7d`, `2w`, or ISO 8601 (`P7D`) |
| budget | false alarms in a time: `1 per 30d` |
| time | ISO 8601; without a zone it is UTC |
| cron | five fields, in UTC |
"""

# What a validator makes of a plain type.
_WORDS = {
    "check_name": "name", "check_identifier": "identifier", "check_column": "column", "check_cron": "cron",
    "parse_duration": "duration", "assume_utc": "time", "parse_false_alarms": "budget",
}  # fmt: skip
_PLAIN: dict[Any, str] = {
    str: "text", int: "integer", float: "number", bool: "true or false", Any: "anything", JsonPath: "JSONPath",
    CelText: "CEL", SecretStr: "secret text",
}  # fmt: skip
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
# What the table at the top says already.
_TYPE_NOTES = {"Lower-case letters, digits and hyphens", "Letters, digits and underscores"}
_TITLES = {section.model: section for section in SECTIONS}


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *(_section(section) for section in SECTIONS)])


def _section(section: Section) -> str:
    about = inspect.cleandoc(section.model.__doc__ or "") if "__doc__" in vars(section.model) else ""
    rows = [_row(name, field) for name, field in section.model.model_fields.items()]
    table = (
        ["| field | value | default | |", "|---|---|---|---|", *rows] if rows else ["It has no fields: `log1p: {}`."]
    )
    parts = [f"## {section.title}\n", f"*{section.where}*\n"]
    parts += [f"{_plain_markup(about)}\n"] if about else []
    return "\n".join([*parts, *table, ""])


def _row(name: str, field: FieldInfo) -> str:
    value = _described(field.annotation, field.metadata)
    default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
    cells = (f"`{name}`", value, default, _plain_markup(_meaning(field)))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _meaning(field: FieldInfo) -> str:
    kinds = [each for each in get_args(field.annotation) if each is not NoneType]
    if kinds and _is_inline(kinds[0]):
        return inspect.cleandoc(kinds[0].__doc__ or "")
    told = field.description or ""
    return "" if told in _TYPE_NOTES else told


def _is_inline(kind: Any) -> bool:
    """Whether a model is written within its field's row: a transform."""
    return (
        isinstance(kind, type)
        and issubclass(kind, BaseModel)
        and kind.__module__ == features.__name__
        and (kind not in _TITLES)
    )


def _described(kind: Any, constraints: list[Any]) -> str:
    """Write a type for a person: its words, then its bounds."""
    words = [_WORDS[name] for each in constraints if (name := _function_name(each)) in _WORDS]
    text = words[-1] if words else _type(kind)
    bounds = [f"{sign} {_number(bound)}" for each in constraints for sign, bound in _bounds(each)]
    if "MinLen(min_length=1)" in map(repr, constraints) and text.startswith(("list", "mapping")):
        bounds.append("not empty")
    return ", ".join([text, *bounds])


def _type(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _link(kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _described(arguments[0], [*_constraints(arguments[1:])])
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in arguments).replace("\\", "")
    if origin in (Union, UnionType):
        return " or ".join(_type(each) for each in arguments if each is not NoneType)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _constraints(found: tuple[Any, ...]) -> Iterator[Any]:
    for each in found:
        yield from each.metadata if isinstance(each, FieldInfo) else [each]


def _link(model: type[BaseModel]) -> str:
    if model in _TITLES:
        section = _TITLES[model]
        return f"[{section.title}](#{section.anchor})"
    fields = model.model_fields
    if _is_inline(model):
        return f"`{{{', '.join(fields)}}}`"
    stage = get_args(fields["type"].annotation)[0]
    return f"`{stage}` ({_type(fields['config'].annotation)})"


def _function_name(constraint: Any) -> str:
    return str(getattr(getattr(constraint, "func", None), "__name__", ""))


def _bounds(constraint: Any) -> Iterator[tuple[str, Any]]:
    for name, sign in _BOUNDS.items():
        bound = getattr(constraint, name, None)
        if bound is not None and not (isinstance(bound, timedelta) and not bound):
            yield sign, bound


def _default(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        return "see there"
    if isinstance(value, timedelta):
        return f"`{_length(value)}`"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _length(value: timedelta) -> str:
    return f"{value.days}d" if value.days else f"{value.seconds}s"


def _number(value: Any) -> str:
    return _length(value) if isinstance(value, timedelta) else f"{value:,}"


def _plain_markup(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
