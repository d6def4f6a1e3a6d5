"""Documents that are put into service together: what is wrong between them is told at once, and nothing changes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from flywheel.cli import main
from flywheel.errors import ManifestError
from flywheel.manifest.load import load_whole
from flywheel.metadata.revisions import Revisions
from flywheel.workspace import Workspace

TRAINING = """\
apiVersion: flywheel-ml.io/v1
kind: Training
metadata: {name: anomaly-detection}
spec: {task: anomaly, algorithm: isolation_forest, target: anomaly}
"""


def problems_of(folder: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(ManifestError) as error:
        load_whole([folder])
    return [f"{Path(each.file).name}:{each.line}: {each.path}: {each.message}" for each in error.value.problems]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_problems_of_fields_of_parts_and_between_documents_come_at_once(tmp_path: Path, seed_text: str) -> None:
    text = (
        seed_text.replace("on_drift: alert", "on_drift: retrain")
        .replace("window_size: 10000", "window_size: 100")
        .replace("name: error_rate", "name: CPU_usage")
        .replace("input_features: [cpu_usage, error_rate]", "input_features: [cpu_usage]")
        .replace("fallback: passthrough", "fallback: passthru")
    )
    assert [problem.split(": ")[:3] for problem in problems_of(tmp_path, m=text)] == [
        [f"m.yaml:{line_of(text, part)}", path, message]
        for part, path, message in (
            (
                "name: CPU_usage",
                "spec.stages[0].config.features[1].name",
                "differs from 'cpu_usage' only in case; Delta and SQL take the two for one column",
            ),
            (
                "fallback: passthru",
                "spec.stages[1].config.fallback",
                "is not allowed (did you mean 'passthrough'?); allowed",
            ),
            (
                "window_size: 100",
                "spec.stages[2].config.window_size",
                "is below min_rows, 500 (the default)",
            ),
            (
                "on_drift: retrain",
                "spec.stages[2].config.on_drift",
                "retrain needs spec.training, or a Training document named anomaly-detection",
            ),
        )
    ]


def test_every_pipeline_is_checked_not_only_the_first(tmp_path: Path, seed_text: str) -> None:
    drifting = seed_text.replace("on_drift: alert", "on_drift: retrain")
    other = drifting.replace("name: anomaly-detection", "name: other")
    line = line_of(drifting, "on_drift")
    assert [problem.partition(": ")[0] for problem in problems_of(tmp_path, a=drifting, b=other)] == [
        f"a.yaml:{line}",
        f"b.yaml:{line}",
    ]


@pytest.mark.parametrize("wrong", ["task: anomalie", "{algorithm"])
def test_what_a_broken_document_probably_gives_is_not_called_missing(
    tmp_path: Path, seed_text: str, wrong: str
) -> None:
    right = "task: anomaly" if wrong.startswith("task") else "{task: anomaly, algorithm"
    drifting = seed_text.replace("on_drift: alert", "on_drift: retrain")
    found = problems_of(tmp_path, m=drifting, training=TRAINING.replace(right, wrong))
    assert [problem.partition(":")[0] for problem in found] == ["training.yaml"]


def test_a_training_without_its_pipeline_is_told_not_left_out(tmp_path: Path, seed_text: str) -> None:
    training = TRAINING.replace("anomaly-detection", "anomaly-detectoin")
    assert problems_of(tmp_path, m=seed_text, training=training) == [
        (
            "training.yaml:3: metadata.name: is no pipeline of these files (did you mean 'anomaly-detection'?); "
            "a Training goes with the pipeline of its name"
        )
    ]


def test_a_name_that_no_document_bears_is_told_with_its_line(tmp_path: Path, seed_text: str) -> None:
    (tmp_path / "m.yaml").write_text(seed_text)
    bootstrap = TRAINING.replace("target: anomaly", "target: anomaly, bootstrap: {source: history}")
    (tmp_path / "training.yaml").write_text(bootstrap)
    bundle = load_whole([tmp_path])
    known = {"Source": ["kafka-metrics"], "Sink": ["analytics", "alert-manager"]}
    found = [(Path(each.file).name, each.path, each.message) for each in bundle.unknown_connections(known)]
    assert [each[:2] for each in found] == [
        ("m.yaml", "spec.feedback.source"),
        ("training.yaml", "spec.bootstrap.source"),
        ("m.yaml", "spec.sinks[0].name"),
    ]
    assert found[2][2].startswith("is no Sink in these files or in the workspace (did you mean 'alert-manager'?)")


@pytest.mark.parametrize("command", ["validate", "apply"])
def test_the_commands_exit_with_2_and_change_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seed_text: str,
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Workspace().database().create()
    text = seed_text.replace("on_drift: alert", "on_drift: retrain").replace("window_size: 10000", "window_size: 9")
    Path("m.yaml").write_text(text)
    with pytest.raises(SystemExit) as exit_:
        main([command, "-f", "m.yaml"])
    assert exit_.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.partition(": ")[0] for line in printed.err.splitlines()] == [
        f"m.yaml:{line_of(text, 'window_size')}",
        f"m.yaml:{line_of(text, 'on_drift')}",
    ]
    assert Revisions(Workspace().database()).names() == []


def test_the_lake_itself_does_not_take_two_columns_that_differ_in_case(tmp_path: Path) -> None:
    """Why the manifest must not either: every batch would fail when it is logged."""
    rows = pl.DataFrame({"cpu": [1.0], "CPU": [2.0], "date": ["2026-01-01"]})
    with pytest.raises(Exception, match="Duplicate field name"):
        write_deltalake(str(tmp_path / "t"), rows.to_arrow(), partition_by=["date"])
