"""Feedback: where the truth comes from, and which label an event means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flywheel.manifest.cel import CelText
from flywheel.manifest.fields import LONGEST, Identifier, Name, Rate, Spec
from flywheel.manifest.jsonpath import JsonPath

# The name of the event that did not come, in the labels table.
ABSENT = "absent"


class LabelRule(Spec):
    """Which label an event means, and how sure that is; or, with `absent`, that none came within max_delay_hours."""

    event: str | None = Field(default=None, min_length=1, description="The event's name; needed unless absent")
    absent: bool = Field(
        default=False, description="true: the label of a prediction that no event has labelled when its delay is over"
    )
    label: str | int | float | bool | None = Field(default=None, description="The label itself, or give label_field")
    label_field: JsonPath | None = Field(default=None, description="Where the event carries the label itself")
    when: CelText | None = Field(
        default=None, description="CEL over the fields of `payload`; the first matching rule wins"
    )
    confidence: Rate = Field(default=1.0, description="The surer label wins; a row's weight in training")

    @model_validator(mode="after")
    def _event_or_absence(self) -> Self:
        if not self.absent and self.event is None:
            raise ValueError("needs event, the event's name, or `absent: true`")
        if self.absent and (self.event, self.label_field, self.when) != (None, None, None):
            raise ValueError("`absent: true` is about no event: it takes label and confidence only")
        return self

    @model_validator(mode="after")
    def _one_label(self) -> Self:
        if (self.label is None) == (self.label_field is None):
            raise ValueError("needs exactly one of label and label_field")
        return self

    @property
    def label_text(self) -> str | None:
        """The label as the labels table holds it: text, with ``true`` and ``false`` as in the manifest."""
        if self.label is None:
            return None
        return str(self.label).lower() if isinstance(self.label, bool) else str(self.label)


class PayloadField(Spec):
    """A field of an event that rules may look at; a value that is not of its type counts as missing."""

    path: JsonPath
    type: Literal["string", "float", "integer", "boolean"] = "string"

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class FeedbackConfig(Spec):
    """Where the truth comes from, and how it finds its prediction."""

    source: Name = Field(description="The Source that events come from")
    join_key: JsonPath = Field(description="The prediction's id, in a record")
    event_key: JsonPath | None = Field(default=None, description="The prediction's id, in an event; default: join_key")
    event_field: JsonPath = Field(default=JsonPath("$.event"), description="The event's name, in an event")
    payload: dict[Identifier, PayloadField] = Field(
        default_factory=dict, description="What `when` may use, by name: a JSONPath into the event, or {path, type}"
    )
    max_delay_hours: float = Field(
        default=24,
        gt=0,
        le=LONGEST / timedelta(hours=1),
        description="An event that happens later than this after its record is late",
    )
    labels: list[LabelRule] = Field(min_length=1, description="The first rule that an event matches gives its label")

    @model_validator(mode="after")
    def _one_absence(self) -> Self:
        absences = sum(rule.absent for rule in self.labels)
        if absences > 1:
            raise ValueError("only one label rule can be `absent: true`")
        if absences and any(rule.event == ABSENT for rule in self.labels):
            raise ValueError(f"an event can't be called {ABSENT!r} beside a rule with `absent: true`")
        if absences == len(self.labels):
            raise ValueError("needs a rule for an event beside `absent: true`")
        return self

    @property
    def max_delay(self) -> timedelta:
        return timedelta(hours=self.max_delay_hours)
