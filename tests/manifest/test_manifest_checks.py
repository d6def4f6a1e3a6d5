"""What must hold between parts of a manifest: each rule is broken once, and the path and the hint are told."""

from __future__ import annotations

import pytest

from flywheel.errors import ManifestError
from flywheel.manifest.load import parse

STAGE = "spec.stages[2].config"


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("[amount, country, hour", "[amount, land, hour", f"{STAGE}.input_features[1]", "is not a feature; there is"),
        ("[amount, country, hour", "[amount, hour, hour", f"{STAGE}.input_features[2]", "is given twice"),
        ("name: hour", "name: amount", "spec.stages[0].config.features[1].name", "is given twice"),
        ("name: new", "name: amount", "spec.stages[1].config.features[0].name", "is given twice"),
        ("id: second", "id: first", "spec.stages[1].id", "is given twice"),
        ("name: everything", "name: alerts", "spec.sinks[1].name", "is given twice"),
        ("entity_key: $.customer", "output_field: new", f"{STAGE}.output_field", "is the name of a feature too"),
        ("name: hour", "name: Amount", "spec.stages[0].config.features[1].name", "differs from 'amount' only in case"),
        ("entity_key: $.customer", "output_field: New", f"{STAGE}.output_field", "is the name of a feature too"),
        ("window: 7d", "window_size: 99", "spec.stages[3].config.window_size", "is below min_rows, 100 (the default)"),
        (
            "window: 7d",
            "window_size: 9\n        min_rows: 10",
            "spec.stages[3].config.window_size",
            "is below min_rows, 10:",
        ),
        ("window: 7d", "features: [amout]", "spec.stages[3].config.features[0]", "did you mean 'amount'"),
        (
            "window: 7d",
            "embeddings: {text: [amount, hourr]}",
            "spec.stages[3].config.embeddings.text[1]",
            "is not a numeric feature (did you mean 'hour'?)",
        ),
        (
            "window: 7d",
            "embeddings: {text: [amount, country]}",
            "spec.stages[3].config.embeddings.text[1]",
            "is not a numeric feature",
        ),
        (
            "window: 7d",
            "embeddings: {text: [hour, hour]}",
            "spec.stages[3].config.embeddings.text[1]",
            "is given twice",
        ),
        (
            "window: 7d",
            "embeddings: {text: [hour]}",
            "spec.stages[3].config.embeddings.text",
            "two components at least",
        ),
        ("window: 7d", "slices: [country, amout]", "spec.stages[3].config.slices[1]", "did you mean 'amount'"),
        ("window: 7d", "slices: [new, new]", "spec.stages[3].config.slices[1]", "is given twice"),
        ("window: 7d", "slices: [prediction.score]", "spec.stages[3].config.slices[0]", "is not a feature; there is"),
        ("window: 7d", "seasonal: hour_of_weak", "spec.stages[3].config.seasonal", "did you mean 'hour_of_week'"),
        (
            "window: 7d",
            "slices: [country]\n        seasonal: hour_of_day",
            "spec.stages[3].config",
            "give slices or seasonal, not both",
        ),
        ("partition_by: [date, label]", "partition_by: [date, date]", "spec.training_export.partition_by[1]", "twice"),
        ("target: fraud", "target: fruad", "spec.training.target", "did you mean 'fraud'"),
        ("{label: fine, score", "{label: fine, scor", f"{STAGE}.default_prediction.scor", "did you mean 'score'"),
        ("when: lost > 10", "when: los > 10", "spec.feedback.labels[0].when", "did you mean 'lost'"),
        ("when: lost > 10", "when: reason > 10", "spec.feedback.labels[0].when", "text unless it is written as"),
        ("when: lost > 10", "when: lost + 1.0", "spec.feedback.labels[0].when", "is a number (lost + 1.0), not true"),
        ("prediction.score >", "prediction.scores >", "spec.sinks[0].condition", "did you mean 'score'"),
        ("country == 'nl'", "cuntry == 'nl'", "spec.sinks[0].condition", "did you mean 'country'"),
        ("label: fine, when", "label: fraud, when", "spec.feedback.labels", "a classification needs a second label"),
    ],
)
def test_parts_that_do_not_fit(whole_text: str, old: str, new: str, path: str, message: str) -> None:
    assert old in whole_text
    with pytest.raises(ManifestError) as error:
        parse(whole_text.replace(old, new))
    problem = next(problem for problem in error.value.problems if problem.path == path)
    assert message in problem.message


def test_the_whole_manifest_itself_is_right(whole_text: str) -> None:
    assert parse(whole_text).pipeline("whole").name == "whole"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type: ml-inference", "type: drift-detection", "has no stage of type ml-inference"),
        ("  prediction_id: $.id\n", "", None),
        ("on_drift: retrain", "on_drift: fallback", None),
        ("fallback: use_default\n        default_prediction: {label: fine, score: 0.0}", "fallback: error", None),
    ],
)
def test_what_a_pipeline_needs(whole_text: str, old: str, new: str, message: str | None) -> None:
    text = whole_text.replace(old, new)
    assert text != whole_text
    if message is None:
        parse(text)
    else:
        with pytest.raises(ManifestError) as error:
            parse(text)
        assert "is not a field here" in str(error.value) or message in str(error.value)


MINIMAL = """\
apiVersion: flywheel-ml.io/v1
kind: FlywheelPipeline
metadata: {name: small}
spec:
  source: s
  stages:
    - {id: f, type: feature-extraction, config: {features: [{name: x, source_field: $.x}]}}
    - {id: i, type: ml-inference, config: {model_endpoint: m, model_id: m, input_features: [x]}}
"""
FEEDBACK = "{source: e, join_key: $.id, labels: [{event: a, label: b}, {event: c, label: d}]}"


def problems_of(text: str) -> str:
    with pytest.raises(ManifestError) as error:
        parse(text).pipeline("small")
    return str(error.value)


def test_a_record_needs_an_id() -> None:
    assert "needs prediction_id, or feedback with its join_key" in problems_of(MINIMAL)


def test_stages_that_are_missing() -> None:
    stages = MINIMAL.split("    - {id: i")[0]
    assert "has no stage of type ml-inference" in problems_of(stages)
    inference = MINIMAL.replace(MINIMAL.splitlines()[6] + "\n", "")
    assert "has no stage of type feature-extraction" in problems_of(inference)


def test_stages_out_of_order() -> None:
    features, inference = MINIMAL.splitlines(keepends=True)[6:8]
    drift = "    - {id: d, type: drift-detection, config: {}}\n"
    told = problems_of(MINIMAL.replace(features + inference, drift + inference + features))
    assert "<text>:7: spec.stages[0]: comes before the ml-inference stage" in told
    assert "<text>:9: spec.stages[2]: comes after the ml-inference stage" in told


def test_a_second_stage_of_a_kind_and_a_section_beside_a_stage() -> None:
    text = (
        MINIMAL + "    - {id: d, type: drift-detection, config: {}}\n    - {id: e, type: drift-detection, config: {}}\n"
    )
    text += f"    - {{id: g, type: feedback-join, config: {FEEDBACK}}}\n  feedback: {FEEDBACK}\n"
    assert "is a second stage of type drift-detection" in problems_of(text)
    assert "says what spec.feedback says too" in problems_of(text)


def test_feedback_and_export_may_be_stages() -> None:
    text = MINIMAL + f"    - {{id: g, type: feedback-join, config: {FEEDBACK}}}\n"
    text += "    - {id: x, type: training-export, config: {destination_uri: out, partition_by: [date, date]}}\n"
    assert "spec.stages[3].config.partition_by[1]: 'date' is given twice" in problems_of(text)
    pipeline = parse(text.replace("[date, date]", "[date]")).pipeline("small")
    assert (pipeline.prediction_id, pipeline.positive_label) == ("$.id", "b")


def test_an_export_needs_labels() -> None:
    text = f"{MINIMAL}  prediction_id: $.id\n  training_export: {{destination_uri: out}}\n"
    assert "spec.training_export: needs feedback" in problems_of(text)


def test_on_drift_fallback_needs_a_fallback() -> None:
    text = MINIMAL + "    - {id: d, type: drift-detection, config: {on_drift: fallback}}\n  prediction_id: $.id\n"
    assert "needs a fallback other than error" in problems_of(text)


def test_a_retrain_schedule_needs_training_and_labels() -> None:
    text = MINIMAL + "  prediction_id: $.id\n  schedules: {retrain: '0 3 * * 1'}\n"
    assert "a retrain schedule needs spec.training" in problems_of(text)
    text += "  training: {task: regression, algorithm: sgd}\n"
    assert "a retrain schedule needs feedback" in problems_of(text)


def test_a_regression_learns_numbers() -> None:
    text = MINIMAL + f"  feedback: {FEEDBACK}\n  training: {{task: regression, algorithm: sgd}}\n"
    assert "spec.feedback.labels[0].label: 'b' is no number" in problems_of(text)
    assert parse(text.replace("label: b", "label: 1").replace("label: d", "label: 2.5")).pipeline("small")


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("{task: anomaly, algorithm: sgd}", "`task: anomaly` and `algorithm: isolation_forest` need each other"),
        ("{task: classification, algorithm: sgd}", "needs its target"),
        ("{task: regression, algorithm: sgd, gate: {metric: auc}}", "the gate's auc does not measure a regression"),
        (
            "{task: regression, algorithm: sgd, bootstrap: {source: a}}",
            "regression needs its label_field",
        ),
        ("{task: regression, algorithm: sgd, parameters: {a: {b: 1}}}", "must be a number, text or true or false"),
        ("{task: regression, algorithm: sgd, target: x}", "a regression has no target"),
        ("{task: regression, algorithm: sgd, holdout: 7}", "is not a duration; write a number and a unit"),
    ],
)
def test_training_that_makes_no_sense(training: str, message: str) -> None:
    assert message in problems_of(f"{MINIMAL}  prediction_id: $.id\n  training: {training}\n")


def test_the_gate_measures_its_task_by_default() -> None:
    text = f"{MINIMAL}  prediction_id: $.id\n  training: {{task: regression, algorithm: sgd, gate: {{min_gain: 1}}}}\n"
    training = parse(text).pipeline("small").training
    assert training is not None
    assert (training.gate.metric, training.gate.min_gain) == ("rmse", 1)


@pytest.mark.parametrize("cron", ["61 * * * *", "* * * *", "* * * * * *", "x", "0 0 31 2 *", ""])
def test_a_schedule_that_is_none(cron: str) -> None:
    text = f"{MINIMAL}  prediction_id: $.id\n  schedules: {{infer: '{cron}'}}\n"
    assert "is not a cron schedule" in problems_of(text)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("{minimum: 2, maximum: 1}", "minimum (2.0) must not be above maximum (1.0)"),
        ("{type: category, minimum: 1}", "a category has no minimum or maximum"),
        ("{categories: [a]}", "categories need `type: category`"),
        ("{type: category, categories: [a], default: b}", "the default 'b' is none of the categories"),
        ("{type: integer, default: 1.5}", "the default 1.5 is not of `type: integer`"),
        ("{type: boolean, default: 1}", "the default 1 is not of `type: boolean`"),
        ("{default: true}", "the default True is not of `type: float`"),
        ("{minimum: 0, default: -1}", "is below minimum or above maximum"),
        ("{type: boolean, transform: log1p}", "a boolean can't take this transform"),
        ("{type: float, transform: {one_hot: {categories: [a]}}}", "one_hot needs `type: category`"),
        ("{transform: {one_hot: {categories: [a, a]}}}", "names a category twice"),
        ("{transform: {clip: {}}}", "needs min, max or both"),
        ("{transform: {clip: {min: 1, max: 0}}}", "must not be above max"),
        ("{transform: {log1p: {}, clip: {min: 0}}}", "needs exactly one transform, got log1p, clip"),
        ("{transform: {bucketize: {boundaries: [2, 1]}}}", "boundaries must grow strictly"),
        ("{transform: {bucketize: {boundaries: []}}}", "needs at least 1 entry"),
        ("{transform: {standardize: {mean: 0, std: 0}}}", "must be above 0"),
        ("{transform: {normalise: {min: 0, max: 1}}}", "did you mean 'normalize'"),
        ("{transform: sqrt}", "must be a mapping of fields"),
        ("{minimum: .nan}", "must be a finite number"),
    ],
)
def test_a_feature_that_makes_no_sense(feature: str, message: str) -> None:
    rest = feature.removeprefix("{").removesuffix("}")
    assert message in problems_of(MINIMAL.replace("source_field: $.x", f"source_field: $.x, {rest}"))


@pytest.mark.parametrize("name", ["1x", "a b", "prediction_id", "Label", "x" * 64, '"x; drop table"'])
def test_a_feature_is_a_column_of_its_own(name: str) -> None:
    assert "spec.stages[0].config.features[0].name" in problems_of(MINIMAL.replace("name: x", f"name: {name}"))


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ("{strategy: random, positive_rate: 0.5}", "positive_rate means nothing with `strategy: random`"),
        ("{rate: 0.5}", "rate means nothing with `strategy: all`; it belongs to random"),
        ("{strategy: reservoir}", "`strategy: reservoir` and `size` need each other"),
        ("{strategy: stratified, negative_rate: 0}", "must be above 0"),
    ],
)
def test_sampling_that_makes_no_sense(sampling: str, message: str) -> None:
    export = f"{{destination_uri: out, sampling: {sampling}}}"
    assert message in problems_of(f"{MINIMAL}  feedback: {FEEDBACK}\n  training_export: {export}\n")


def test_stratified_sampling_needs_a_positive_label() -> None:
    feedback = "{source: e, join_key: $.id, labels: [{event: a, label_field: $.truth}]}"
    text = f"{MINIMAL}  feedback: {feedback}\n"
    text += "  training_export: {destination_uri: out, sampling: {strategy: stratified}}\n"
    assert "spec.training_export.sampling: needs positive_label" in problems_of(text)
    assert parse(text.replace("stratified}", "stratified, positive_label: x}")).pipeline("small").positive_label == "x"
