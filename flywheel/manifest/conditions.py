"""What the columns say about conditions and default predictions: unknown names and types that don't compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flywheel.errors import did_you_mean
from flywheel.manifest.cel import check_condition, names_in
from flywheel.manifest.problems import Finding, Path

if TYPE_CHECKING:
    import polars as pl

    from flywheel.manifest.pipeline import Pipeline


def condition_problems(pipeline: Pipeline, feedback: Path, inference: Path) -> Iterator[Finding]:
    """Compile every condition of a pipeline; ``feedback`` and ``inference`` are the paths of those parts."""
    from flywheel.manifest.schema import output_schema, payload_schema, prediction_struct

    if pipeline.feedback is not None:
        payload = payload_schema(pipeline.feedback)
        for index, rule in enumerate(pipeline.feedback.labels):
            if rule.when is not None:
                found = _compiled((*feedback, "labels", index, "when"), rule.when, payload)
                yield from (Finding(finding.path, finding.message + _hint(finding.message)) for finding in found)
    prediction = prediction_struct(pipeline)
    schema = output_schema(pipeline)
    for index, sink in enumerate(pipeline.spec.sinks):
        unknown = prediction is None and pipeline.inference.output_field in names_in(sink.condition or "true")
        if sink.condition is not None and not unknown:
            yield from _compiled(("spec", "sinks", index, "condition"), sink.condition, schema)
    if prediction is not None:
        fields = [field.name for field in prediction.fields]
        for name in pipeline.inference.default_prediction or {}:
            if name not in fields:
                path = (*inference, "default_prediction", name)
                yield Finding(path, f"is no field of the prediction{did_you_mean(name, fields)}: {', '.join(fields)}")


def _hint(message: str) -> str:
    if "text (" in message:
        return "; a payload field is text unless it is written as {path: …, type: float}"
    return "; a payload field goes by its bare name" if "'payload'" in message else ""


def _compiled(path: Path, text: str, schema: pl.Schema) -> Iterator[Finding]:
    try:
        check_condition(text, schema)
    except ValueError as error:
        yield Finding(path, str(error))
