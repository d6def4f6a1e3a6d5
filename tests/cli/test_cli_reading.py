"""Every reading command, against a workspace in which a pipeline has run, drifted and retrained."""

from __future__ import annotations

from typing import Any

import pytest

from flywheel.cli import reference
from flywheel.metadata.database import Database

READING = [
    ("get",),
    ("get", "pipelines"),
    ("get", "sources"),
    ("get", "sinks"),
    ("get", "flight-delays"),
    ("get", "late-alerts"),
    ("health",),
    ("health", "pipeline", "flight-delays"),
    ("stats",),
    ("stats", "predictions", "-p", "flight-delays"),
    ("stats", "feedback"),
    ("stats", "training"),
    ("drift", "status"),
    ("drift", "history", "-p", "flight-delays"),
    ("drift", "explain", "2013-02", "--json"),
    ("performance",),
    ("performance", "-p", "flight-delays", "-n", "1"),
    ("model", "list"),
    ("model", "show", "late-arrival"),
    ("model", "show", "late-arrival", "--version", "1"),
    ("model", "history", "late-arrival"),
    ("model", "compare", "late-arrival", "1", "2"),
    ("review", "list"),
    ("review", "list", "--all"),
    ("graph", "flight-delays"),
]


def _objects(answer: Any) -> list[dict[str, Any]]:
    return answer if isinstance(answer, list) else [answer]


def _documented(command: str) -> list[list[str]]:
    named = reference.ANSWERS[command].replace(",", " ").replace(";", " ").split()
    return [reference.keys(kind) for kind in reference.TYPES if kind.__name__ in named]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_json_has_the_documented_keys_and_nothing_beside_it(run: Any, arguments: tuple[str, ...]) -> None:
    answer = run(*arguments, "--json")
    assert (answer.code, answer.err) == (0, "")
    documented = next(
        _documented(" ".join(arguments[:length]))
        for length in (2, 1)
        if " ".join(arguments[:length]) in reference.ANSWERS
    )
    for each in _objects(answer.json()):
        assert list(each) in documented


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_what_a_person_sees_fits_in_a_hundred_columns(run: Any, arguments: tuple[str, ...]) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.strip()
    if arguments[0] != "get" or arguments[-1] != "flight-delays":  # a manifest is as wide as it was written
        assert max(len(line) for line in answer.out.splitlines()) <= 100


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    "arguments",
    [("get",), ("health",), ("stats",), ("drift", "status"), ("drift", "history"), ("performance",), ("model", "list")],
)
def test_an_empty_workspace_is_no_error(run: Any, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == 0
    answer = run(*arguments, "--json")
    assert answer.code == 0
    assert answer.json() in ([], {"healthy": True, "pipelines": []})


@pytest.mark.usefixtures("filled")
def test_prediction_stats_add_up_the_committed_batches(run: Any) -> None:
    (found,) = run("stats", "predictions", "--json").json()
    assert (found["batches"], found["records"], found["ok"], found["fallback"], found["quarantined"]) == (
        3, 3000, 2850, 120, 30,
    )  # fmt: skip
    assert found["by_model_version"] == {"1": 1980, "2": 990}
    assert (found["first_as_of"], found["last_as_of"]) == ("2013-03-02T00:00:00Z", "2013-03-04T00:00:00Z")


@pytest.mark.usefixtures("filled")
def test_feedback_stats_add_up_but_what_waits_is_that_of_the_last_join(run: Any) -> None:
    (found,) = run("stats", "feedback", "--json").json()
    assert (found["labelled"], found["duplicates"], found["conflicts"], found["waiting"]) == (1800, 6, 12, 30)


@pytest.mark.usefixtures("filled")
def test_training_stats_name_the_last_export_and_count_outcomes(run: Any) -> None:
    (found,) = run("stats", "training", "--json").json()
    assert (found["last_export_id"], found["exported_rows"], found["retrain_outcomes"]) == ("e-1", 500, {"promoted": 1})
    assert found["versions"] == {"archived": 1, "candidate": 1, "champion": 1}


@pytest.mark.usefixtures("filled")
def test_a_drift_check_tells_what_its_retrain_came_to(run: Any) -> None:
    (newest,) = run("drift", "status", "--json").json()
    assert (newest["id"], newest["severity"], newest["retraining"]) == ("2013-03", "high", "promoted")
    told = run("drift", "status").out
    assert "[temp]" in told  # not taken for markup
    assert "retrain within 24 h" in told
    assert [each["id"] for each in run("drift", "history", "--json").json()] == ["2013-03", "2013-02"]
    assert [each["id"] for each in run("drift", "history", "-n", "1", "--json").json()] == ["2013-03"]


@pytest.mark.usefixtures("filled")
def test_a_comparison_knows_which_way_a_metric_is_better(run: Any) -> None:
    found = run("model", "compare", "late-arrival", "1", "2", "--json").json()
    assert {each["metric"]: each["better"] for each in found["metrics"]} == {"auc": 2, "log_loss": 2}


@pytest.mark.usefixtures("filled")
def test_show_is_the_champion_unless_a_version_is_asked_for(run: Any) -> None:
    assert run("model", "show", "late-arrival", "--json").json()["version"] == 2
    assert run("model", "show", "late-arrival", "-v", "3", "--json").json()["status"] == "candidate"


@pytest.mark.usefixtures("filled")
def test_a_review_is_decided_once(run: Any) -> None:
    assert [each["version"] for each in run("review", "list", "--json").json()] == [3]
    approved = run("review", "approve", "late-arrival", "3", "-m", "looks right")
    assert approved.code == 0
    assert "flywheel run promote -p flight-delays" in approved.out
    assert run("review", "approve", "late-arrival", "3").code == 0
    refused = run("review", "decline", "late-arrival", "3")
    assert refused.code == 1
    assert "approved already" in refused.err
    assert run("review", "list", "--json").json() == []
    (decided,) = run("review", "list", "--all", "--json").json()
    assert (decided["decision"], decided["comment"]) == ("approved", "looks right")


@pytest.mark.usefixtures("filled")
def test_names_and_models_are_completed() -> None:
    from flywheel.cli.completion import complete_model, complete_pipeline

    assert complete_pipeline("fl") == ["flight-delays"]
    assert complete_pipeline("x") == []
    assert complete_model("late") == ["late-arrival"]


def test_a_deleted_pipeline_is_gone_from_every_list(run: Any, filled: Database) -> None:
    from flywheel.metadata.revisions import Revisions

    Revisions(filled).delete("flight-delays")
    assert run("get", "--json").json() == []
    assert run("health", "--json").json() == {"healthy": True, "pipelines": []}
    assert run("stats", "-p", "flight-delays").code == 1


@pytest.mark.usefixtures("filled")
def test_a_window_tells_what_is_known_of_it(run: Any) -> None:
    told = run("performance", "-p", "flight-delays").out
    assert "final  5,000 of 5,800 expected (86%)  0.520 (0.510 to 0.530)  0.530" in told
    assert "not known yet: 12 of 6,000 predictions have a label" in told


@pytest.mark.usefixtures("empty")
def test_without_a_pipeline_it_says_what_to_type(run: Any) -> None:
    assert run("performance").out == "no pipeline is in service; next: flywheel apply -f MANIFEST\n"
