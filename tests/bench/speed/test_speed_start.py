"""The short slice of line 8: ratios, and what must not be imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from speed_start import PIPELINE, ROOT, SLICE, importing, made_workspace, started

_HEAVY = (
    "polars", "duckdb", "pyarrow", "deltalake", "sqlalchemy", "scipy", "sklearn", "tritonclient", "matplotlib", "lark",
)  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_workspace(tmp_path_factory.mktemp("start"))


def loaded_by(code: str, folder: Path) -> set[str]:
    """Which heavy packages are loaded in a new interpreter that has run ``code``."""
    tell = f"import sys; sys.stderr.write(chr(10) + ' '.join({{*{_HEAVY!r}}} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], cwd=folder, check=True, capture_output=True, text=True
    )
    return set(done.stderr.rpartition("\n")[2].split())


def reading(*words: str) -> str:
    return f"from flywheel.cli.app import app\napp(args={list(words)!r}, standalone_mode=False)"


def test_help_costs_little_more_than_an_interpreter(workspace: Path) -> None:
    flywheel = str(Path(sys.executable).with_name("flywheel"))
    costs = started({"pass": [sys.executable, "-c", "pass"], "help": [flywheel, "--help"]}, SLICE.runs, workspace)
    assert costs["help"].cpu < 15 * costs["pass"].cpu
    assert loaded_by(reading("--help"), workspace) == set()


@pytest.mark.parametrize("words", [("drift", "status"), ("model", "list"), ("get",), ("performance",)])
def test_commands_that_ask_the_metadata_load_no_table_library(words: tuple[str, ...], workspace: Path) -> None:
    assert loaded_by(reading(*words), workspace) == {"sqlalchemy"}


def test_listing_the_quarantine_loads_what_reads_tables_only(workspace: Path) -> None:
    loaded = loaded_by(reading("quarantine", "list", "-p", PIPELINE), workspace)
    assert loaded == {"sqlalchemy", "polars", "deltalake"}


def test_a_flow_is_deployed_without_what_its_steps_need() -> None:
    assert loaded_by("import flows.infer", ROOT) == set()
    infer, prefect = importing()()
    assert infer < 0.4 * prefect
