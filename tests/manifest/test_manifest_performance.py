"""``spec.performance`` and label rules for absence: what they take, and what they default to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from flywheel.errors import ManifestError
from flywheel.manifest.feedback import FeedbackConfig
from flywheel.manifest.load import parse

LANDED = {"event": "landed", "label": "late"}
ABSENT = {"absent": True, "label": "normal", "confidence": 0.6}


def feedback(*rules: dict[str, object]) -> FeedbackConfig:
    return FeedbackConfig.model_validate({"source": "events", "join_key": "$.id", "labels": list(rules)})


def test_absence_is_a_label_rule() -> None:
    rule = feedback(ABSENT, LANDED).labels[0]
    assert (rule.absent, rule.label_text, rule.confidence, rule.event) == (True, "normal", 0.6, None)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"label": "late"}], "needs event, the event's name, or `absent: true`"),
        ([LANDED, {**ABSENT, "event": "landed"}], "takes label and confidence only"),
        ([LANDED, {**ABSENT, "when": "minutes > 5.0"}], "takes label and confidence only"),
        ([LANDED, ABSENT, ABSENT], "only one label rule can be"),
        ([ABSENT], "needs a rule for an event"),
        ([{**LANDED, "event": "absent"}, ABSENT], "an event can't be called 'absent'"),
    ],
)
def test_what_absence_does_not_go_with(rules: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        feedback(*rules)


def test_a_pipeline_with_feedback_needs_no_section(whole_text: str) -> None:
    config = parse(whole_text).pipeline("whole").performance
    assert (config.window, config.history) == (timedelta(days=7), timedelta(days=28))
    assert config.metric is not None


def test_what_is_given_counts(whole_text: str) -> None:
    text = f"{whole_text}  performance: {{window: 1d, metric: auc}}\n"
    config = parse(text).pipeline("whole").performance
    assert (config.window, config.history, config.metric) == (timedelta(days=1), timedelta(days=4), "auc")


def test_a_metric_must_measure_the_task(whole_text: str) -> None:
    with pytest.raises(ManifestError) as error:
        parse(f"{whole_text}  performance: {{metric: rmse}}\n").pipeline("whole")
    (problem,) = error.value.problems
    assert problem.path == "spec.performance.metric"
    assert "does not measure a classification" in problem.message
