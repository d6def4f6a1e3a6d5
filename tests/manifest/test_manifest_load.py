"""Files become documents, or every problem in them is told with its file, line and path."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from flywheel.errors import ManifestError, NotFoundError
from flywheel.manifest.cel import compile_cel
from flywheel.manifest.load import load, parse, resolve_pipeline
from flywheel.manifest.schema import output_schema

PIPELINES = Path(__file__).parents[2] / "deployments" / "pipelines"
SEED_SHA256 = "2bb3e0eb2ec40081bac3c968c4561d608629f232773a96d4be3a2e87b077ccac"
TRAINING = """\
apiVersion: flywheel-ml.io/v1
kind: Training
metadata: {name: anomaly-detection}
spec: {task: anomaly, algorithm: isolation_forest, target: anomaly}
"""


def outcome(read: Callable[[], object]) -> object:
    """What is read, or the problems; any other error is a failure of the test."""
    try:
        return read()
    except ManifestError as error:
        return error.problems
    except NotFoundError as error:
        return error


def refused(text: str) -> list[str]:
    with pytest.raises(ManifestError) as error:
        parse(text, "m.yaml")
    assert str(error.value) == "\n".join(str(problem) for problem in error.value.problems)
    return str(error.value).splitlines()


def test_the_seed_is_valid_byte_for_byte() -> None:
    file = PIPELINES / "anomaly-detection.yaml"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == SEED_SHA256
    bundle = load([file])
    pipeline = bundle.pipeline("anomaly-detection")
    assert pipeline.prediction_id == "$.metadata.trace_id"
    assert pipeline.positive_label == "anomaly"
    assert pipeline.drift is not None
    assert pipeline.drift.thresholds == {"psi": 0.25, "kl_divergence": 0.1}
    assert [feature.name for feature in pipeline.input_features] == ["cpu_usage", "error_rate"]
    assert bundle.texts["FlywheelPipeline", "anomaly-detection"] == file.read_text(encoding="utf-8")


def test_the_bundled_pipelines_are_valid_together() -> None:
    bundle = load([PIPELINES])
    assert all(bundle.pipeline(name).training is not None for name in bundle.pipelines)


def test_every_error_of_a_file_comes_at_once_with_its_line(whole_text: str) -> None:
    broken = (
        whole_text.replace("name: whole", "name: Whole Thing")
        .replace("type: feature-extraction", "type: feature-extractoin", 1)
        .replace("$.at.hour", "$..hour")
        .replace("mode: blocking", "mode: blocked")
        .replace("target: fraud", "traget: fraud")
        .replace("join_key: $.order", "join_key: order")
    )
    lines = refused(broken)
    starts = [line.split(": ")[0] + ": " + line.split(": ")[1] for line in lines]
    assert starts == [
        "m.yaml:4: metadata.name",
        "m.yaml:9: spec.stages[0]",
        "m.yaml:14: spec.stages[0].config.features[1].source_field",
        "m.yaml:35: spec.stages[3].config.mode",
        "m.yaml:40: spec.feedback.join_key",
        "m.yaml:53: spec.training.traget",
    ]
    assert "write 'whole-thing'" in lines[0]
    assert "did you mean 'feature-extraction'?" in lines[1]
    assert "'$..hour' may lead to several values" in lines[2]
    assert "did you mean 'blocking'?" in lines[3]
    assert "did you mean 'target'?" in lines[5]


def test_what_is_wrong_between_parts_is_told_beside_a_misspelling(whole_text: str) -> None:
    lines = refused(whole_text.replace("amount, country, hour", "amuont, country, hour").replace("mode: b", "mod: b"))
    assert [line.split(": ")[1] for line in lines] == [
        "spec.stages[2].config.input_features[0]",
        "spec.stages[3].config.mod",
    ]
    assert "did you mean 'amount'?" in lines[0]


def test_alternatives_are_one_problem(whole_text: str) -> None:
    lines = refused(whole_text.replace("label: fraud, when", "label: [1], when"))
    assert lines == ["m.yaml:45: spec.feedback.labels[0].label: must be text, a number or true or false"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "m.yaml:1: is empty"),
        ("# nothing\n---\n---\n", "m.yaml:1: is empty"),
        ("- a\n- b\n", "m.yaml:1: is not a mapping"),
        ("just text", "m.yaml:1: is not a mapping"),
        ("kind: Sink\n\tspec: 1", "m.yaml:2: is not YAML: a tab"),
        ("kind: [", "m.yaml:1: is not YAML"),
        ("kind: Sink\nkind: Sink\n", "m.yaml:2: 'kind' is given twice; first on line 1"),
        ("a: !!python/object:os.system ls", "is a YAML tag"),
        ("a: &a [*a]", "m.yaml:1: *a has no anchor &a before it"),
        ("1: a", "m.yaml:1: '1' is a key that is not text"),
        ("? [a]\n: b", "is a key that is not text"),
        ("a: 2013-13-45", "m.yaml:1: '2013-13-45' cannot be read"),
        ("kind: Sinc", "m.yaml:1: kind: 'Sinc' is not a kind (did you mean 'Sink'?)"),
        ("kind: {a: 1}", "m.yaml:1: kind: must be text"),
        ("[" * 5000, "nested deeper than 40 levels"),
        ("a: " + "9" * 5000, "cannot be read"),
        ("%YAML 1.1\n---\na: yes", "has a YAML directive"),
        ("\x00", "is not YAML"),
        ("x" * 1_000_001, "is longer than 1,000,000 characters"),
    ],
)
def test_text_that_is_no_manifest(text: str, problem: str) -> None:
    assert problem in "\n".join(refused(text))


def test_anchors_that_expand_without_end() -> None:
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert "holds more than 20,000 values" in refused("\n".join(bomb))[0]


def test_anchors_and_merge_keys_work() -> None:
    text = """\
apiVersion: flywheel-ml.io/v1
kind: Sink
metadata: &meta {name: one, labels: &labels {team: a}}
spec: {type: log}
---
apiVersion: flywheel-ml.io/v1
kind: Sink
metadata: {<<: &other {name: none, namespace: prod}, name: two}
spec: {type: log, limit: 5}
"""
    bundle = parse(text)
    assert (bundle.sinks["two"].metadata.name, bundle.sinks["two"].metadata.namespace) == ("two", "prod")
    assert bundle.texts["Sink", "one"] + bundle.texts["Sink", "two"] == text


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=150)
@example("a: &a\n  <<: 1")
@example("? ? a")
def test_any_text_gives_a_bundle_or_a_manifest_error(text: str) -> None:
    assert outcome(lambda: parse(text))


@cache
def whole_document(text: str) -> Any:
    return YAML(typ="safe").load(text)


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(value=YAML_VALUES, data=st.data())
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_in_the_place_of_another_gives_a_pipeline_or_a_manifest_error(
    whole_text: str, value: object, data: st.DataObject
) -> None:
    document = copy.deepcopy(whole_document(whole_text))
    place = document
    while True:
        step = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[step], dict | list) or not place[step] or data.draw(st.integers(0, 4)) == 0:
            place[step] = value
            break
        place = place[step]
    stream = StringIO()
    YAML(typ="safe").dump(document, stream)
    assert outcome(lambda: parse(stream.getvalue()).pipeline("whole"))


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=60)
def test_any_bytes_in_a_file_give_a_bundle_or_a_manifest_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.mktemp("any") / "m.yaml"
    file.write_bytes(content)
    assert outcome(lambda: load([file]))


def test_problems_of_all_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "b.yml").write_text("kind: Sink")
    (tmp_path / "c.txt").write_text("not read")
    with pytest.raises(ManifestError) as error:
        load([tmp_path, tmp_path / "none.yaml"])
    files = {Path(problem.file).name for problem in error.value.problems}
    assert files == {"a.yaml", "b.yml", "none.yaml"}


def test_a_folder_without_manifests(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="is a folder without"):
        load([tmp_path])


def test_the_same_name_twice_is_an_error_unless_the_documents_are_equal(tmp_path: Path) -> None:
    server = "apiVersion: flywheel-ml.io/v1\nkind: ModelServer\nmetadata: {name: m}\nspec: {address: 'localhost:1'}\n"
    (tmp_path / "a.yaml").write_text(server)
    (tmp_path / "b.yaml").write_text(f"# the same\n{server}")
    assert list(load([tmp_path]).model_servers) == ["m"]
    (tmp_path / "b.yaml").write_text(server.replace("localhost:1", "localhost:2"))
    with pytest.raises(ManifestError, match=r"is a second ModelServer of this name; the first is in .*a.yaml, line 1"):
        load([tmp_path])


SOURCE = """\
apiVersion: flywheel-ml.io/v1
kind: Source
metadata: {name: orders}
spec: {type: sql, url: "postgresql://u:${FLYWHEEL_TEST_PASSWORD}@db/x", query: select 1, cursor: id}
"""


def test_the_environment_fills_in_and_the_stored_text_does_not_hold_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_TEST_PASSWORD", "hunter2")
    bundle = parse(SOURCE)
    spec = bundle.sources["orders"].spec
    assert spec.type == "sql"
    assert spec.url.get_secret_value() == "postgresql://u:hunter2@db/x"
    assert "hunter2" not in repr(bundle)
    assert "hunter2" not in bundle.texts["Source", "orders"]


def test_a_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYWHEEL_TEST_PASSWORD", raising=False)
    message = "m.yaml:4: spec.url: names the environment variable FLYWHEEL_TEST_PASSWORD, which is not set"
    assert refused(SOURCE) == [message]


@pytest.mark.parametrize(
    "spec",
    [
        "{type: webhook, url: 'http://x', token: [hunter2]}",
        "{type: webhook, url: 'http://x', tokn: hunter2}",
        "{type: webhook, url: 'http://x', token: {hunter2: hunter2}}",
    ],
)
def test_no_problem_shows_a_secret(spec: str) -> None:
    text = f"apiVersion: flywheel-ml.io/v1\nkind: Sink\nmetadata: {{name: s}}\nspec: {spec}\n"
    assert "hunter2" not in "\n".join(refused(text))


def test_training_beside_a_manifest_that_must_not_be_touched(seed_text: str) -> None:
    bundle = parse(f"{seed_text}\n---\n{TRAINING}")
    pipeline = bundle.pipeline("anomaly-detection")
    assert bundle.pipelines["anomaly-detection"].training is None
    assert pipeline.training is not None
    assert pipeline.training.gate.metric == "auc"
    stored = resolve_pipeline(
        bundle.texts["FlywheelPipeline", "anomaly-detection"], bundle.texts["Training", "anomaly-detection"]
    )
    assert stored == pipeline
    assert resolve_pipeline(seed_text) == bundle.pipelines["anomaly-detection"]


def test_conditions_of_what_was_applied_are_compiled_where_they_are_used(seed_text: str) -> None:
    """As after an update whose CEL is stricter: what else the manifest says can be read all the same."""
    text = seed_text.replace("anomaly_prediction.score > 0.8", "anomaly_prediction.score >")
    assert "is not CEL" in refused(text)[0]
    stored = resolve_pipeline(text)
    condition = stored.spec.sinks[0].condition
    assert condition == "anomaly_prediction.is_anomaly && anomaly_prediction.score >"
    with pytest.raises(ManifestError, match="is not CEL"):
        compile_cel(condition, output_schema(stored))


def test_what_was_applied_still_has_to_fit_together(seed_text: str) -> None:
    with pytest.raises(ManifestError, match="is not a feature"):
        resolve_pipeline(seed_text.replace("[cpu_usage, error_rate]", "[cpu_usage, nothing]"))


def test_a_problem_between_two_documents_is_placed_in_the_right_one(seed_text: str) -> None:
    bundle = parse(f"{seed_text}---\n{TRAINING.replace('target: anomaly', 'target: anomoly')}", "m.yaml")
    # An anomaly's target is one of the labels, like a classification's.
    with pytest.raises(ManifestError) as error:
        bundle.pipeline("anomaly-detection")
    line = len(seed_text.splitlines()) + 5
    assert str(error.value).startswith(f"m.yaml:{line}: spec.target: 'anomoly' is no label (did you mean 'anomaly'?)")


def test_retraining_needs_training_once_the_documents_are_together(seed_text: str) -> None:
    text = seed_text.replace("on_drift: alert", "on_drift: retrain")
    bundle = parse(text, "m.yaml")
    with pytest.raises(ManifestError, match=r"retrain needs spec.training, or a Training document named"):
        bundle.pipeline("anomaly-detection")
    assert parse(f"{text}---\n{TRAINING}").pipeline("anomaly-detection").training is not None


def test_training_in_both_places_is_refused(whole_text: str) -> None:
    text = f"{whole_text}---\n{TRAINING.replace('anomaly-detection', 'whole')}"
    with pytest.raises(ManifestError, match="is given here and in a Training document"):
        parse(text).pipeline("whole")


def test_a_condition_on_the_prediction_is_checked_once_its_type_is_known(seed_text: str) -> None:
    text = seed_text.replace("anomaly_prediction.score > 0.8", "anomaly_prediction.scores > 0.8")
    assert parse(text).pipeline("anomaly-detection").training is None
    with pytest.raises(ManifestError, match=r"has no field 'scores' \(did you mean 'score'\?\); there is: is_anomaly"):
        parse(f"{text}---\n{TRAINING}").pipeline("anomaly-detection")


def test_an_unknown_pipeline(seed_text: str) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'anomaly-detection'"):
        parse(seed_text).pipeline("anomaly-detect")
