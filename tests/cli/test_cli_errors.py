"""Errors: in plain words on standard error, with an exit code, and never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flywheel.metadata.database import Database

PIPELINES = Path(__file__).parents[2] / "deployments" / "pipelines"

BROKEN = """\
apiVersion: flywheel-ml.io/v1
kind: FlywheelPipeline
metadata:
  name: Broken
spec:
  sorce: flights
  source: flights
  prediction_id: $.id
  stages:
    - id: features
      type: feature-extraction
      config:
        features:
          - {name: x, source_field: $.x}
    - id: inference
      type: ml-inference
      config: {model_endpoint: m, model_id: m-1, input_features: [x], fallback: retun_null}
"""


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("arguments", [("get",), ("health",), ("stats",), ("drift", "status"), ("model", "list")])
def test_without_a_workspace_it_says_how_to_make_one_and_leaves_nothing(
    run: Any, nowhere: Path, arguments: tuple[str, ...]
) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert "next: flywheel init" in answer.err
    assert list(nowhere.iterdir()) == []


def test_a_bad_manifest_tells_every_problem_with_its_line_and_exits_with_2(run: Any, nowhere: Path) -> None:
    manifest = nowhere / "broken.yaml"
    manifest.write_text(BROKEN)
    for command in ("validate", "apply"):
        answer = run(command, "-f", str(manifest))
        assert (answer.code, answer.out) == (2, "")
        for expected in (
            f"{manifest}:4:",
            f"{manifest}:6:",
            "did you mean 'source'?",
            f"{manifest}:17:",
            "return_null",
        ):
            assert expected in answer.err


def test_validate_as_json_is_json_of_a_bad_manifest_too(run: Any, nowhere: Path) -> None:
    manifest = nowhere / "broken.yaml"
    manifest.write_text(BROKEN)
    answer = run("validate", "-f", str(manifest), "--json")
    assert answer.code == 2
    found = answer.json()
    assert found["valid"] is False
    assert [problem["line"] for problem in found["problems"]] == [4, 6, 17]
    assert set(found["problems"][0]) == {"file", "line", "path", "value", "message"}


def test_the_bundled_manifests_are_valid(run: Any) -> None:
    answer = run("validate", "-f", str(PIPELINES), "--json")
    assert answer.code == 0
    names = {(each["kind"], each["name"]) for each in answer.json()["documents"]}
    assert {("FlywheelPipeline", "flight-delays"), ("FlywheelPipeline", "anomaly-detection")} <= names


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("get", "flight-delay"), "did you mean 'flight-delays'?"),
        (("health", "pipeline", "flights-delay"), "did you mean 'flight-delays'?"),
        (("stats", "-p", "nothing"), "there is: flight-delays"),
        (("drift", "history", "-p", "nothing"), "there is: flight-delays"),
        (("model", "show", "late-arival"), "did you mean 'late-arrival'?"),
        (("model", "show", "late-arrival", "-v", "9"), "there is: 1, 2, 3"),
        (("model", "compare", "late-arrival", "1", "9"), "there is: 1, 2, 3"),
        (("model", "history", "nothing"), "flywheel model list"),
        (("review", "approve", "late-arrival", "2"), "late-arrival 3"),
        (("graph", "nothing"), "there is: flight-delays"),
        (("logs", "nothing"), "there is: flight-delays"),
        (("run", "infre", "-p", "flight-delays"), "did you mean 'infer'?"),
    ],
)
def test_a_wrong_name_is_told_with_those_there_are(run: Any, arguments: tuple[str, ...], told: str) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert told in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run",),
        ("run", "infer"),
        ("run", "infer", "-p", "x", "--as-of", "tomorrow"),
        ("validate",),
        ("graph",),
        ("graph", "x", "-o", "picture.gif"),
        ("stats", "everything"),
        ("model", "show", "m", "-v", "zero"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(run: Any, nowhere: Path, arguments: tuple[str, ...]) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err
    assert list(nowhere.iterdir()) == []


def test_a_broken_configuration_file_is_told(run: Any, nowhere: Path) -> None:
    (nowhere / "flywheel.toml").write_text("home = [")
    answer = run("health")
    assert answer.code == 1
    assert "flywheel.toml is not valid TOML" in answer.err


def test_a_database_that_does_not_answer_is_told_without_its_password(
    run: Any, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "FLYWHEEL_DATABASE_URL", "postgresql+psycopg://me:hunter2@127.0.0.1:1/flywheel?connect_timeout=2"
    )
    answer = run("health")
    assert answer.code == 1
    assert "the metadata database does not answer" in answer.err
    assert "hunter2" not in answer.err + answer.out


def test_a_graph_is_written_in_each_format(run: Any, nowhere: Path) -> None:
    manifest = str(PIPELINES / "flight-delays.yaml")
    for suffix in ("svg", "png", "mmd"):
        assert run("graph", "-f", manifest, "-o", f"loop.{suffix}").code == 0
        assert (nowhere / f"loop.{suffix}").stat().st_size > 500
    assert "late-arrival" in run("graph", "-f", manifest).out


def test_a_folder_with_two_pipelines_needs_a_name_to_draw(run: Any) -> None:
    answer = run("graph", "-f", str(PIPELINES))
    assert answer.code == 1
    assert "flywheel graph NAME -f PATH" in answer.err
    assert run("graph", "anomaly-detection", "-f", str(PIPELINES)).code == 0


def test_a_database_without_one_of_the_tables_is_told(run: Any, filled: Database) -> None:
    with filled.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE retrainings")
    answer = run("drift", "status")
    assert (answer.code, answer.out) == (1, "")
    assert "no such table: retrainings" in answer.err
