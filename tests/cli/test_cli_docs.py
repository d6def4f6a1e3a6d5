"""The reference page, and how lightly the command line starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flywheel.cli import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.page(), (
        "run: .venv/bin/python -m flywheel.cli.reference docs/cli.md"
    )


def test_every_command_is_on_the_page_with_a_help_text() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for path, command in reference.commands():
        assert f"\n## {f'flywheel {path}'.strip()}\n" in page
        assert command.help


def test_every_command_with_json_says_what_it_prints() -> None:
    with_json = {
        path
        for path, command in reference.commands()
        if "--json" in [name for each in command.params for name in each.opts]
    }
    assert with_json == set(reference.ANSWERS)


def test_every_option_is_explained() -> None:
    for path, command in reference.commands():
        for each in command.params:
            if each.param_type_name == "option":
                assert each.help, f"{path}: {each.opts}"


def _loaded(arguments: list[str], folder: Path) -> set[str]:
    code = (
        "import json, sys\n"
        "from flywheel.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "sys.stderr.write('MODULES ' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stderr.rpartition("MODULES ")[2]))


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = {"sqlalchemy", "polars", "numpy", "rich", "prefect", "duckdb", "celpy", "grpc", "sklearn"}
    assert not _loaded(["--help"], tmp_path) & {*heavy, "pydantic"}
    for arguments in (["run", "--help"], ["model", "show", "--help"]):  # typer reads their types with pydantic
        assert not _loaded(arguments, tmp_path) & heavy


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("arguments", [["health"], ["drift", "status"]])
def test_reading_commands_do_not_import_prefect(tmp_path: Path, arguments: list[str]) -> None:
    modules = _loaded(arguments, tmp_path)
    assert not modules & {"prefect", "sklearn", "great_expectations", "matplotlib", "tritonclient"}
