"""docs/your-own-data.md and docs/model-server.md, done as they say."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

sys.path.insert(0, str(Path(__file__).parent))

import walkthrough
from quiet_prefect import quiet_prefect_server

from deployments.processes import free_port

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in ("your-own-data.md", "model-server.md"))


@pytest.fixture(scope="module")
def outputs() -> Iterator[list[str]]:
    """What the commands of both pages print, run one after the other in an empty folder."""
    with (
        quiet_prefect_server(),  # a new one: pages tell what is made on it
        pytest.MonkeyPatch.context() as environment,
        tempfile.TemporaryDirectory() as folder,
    ):
        # Commands take this server, and start none of their own.
        environment.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
        yield walkthrough.play(PAGES, Path(folder), f"127.0.0.1:{free_port()}")


def test_every_command_prints_what_the_page_says(outputs: list[str]) -> None:
    commands = [step for step in walkthrough.steps(PAGES) if isinstance(step, walkthrough.Command)]
    assert [command.line for command in commands if command.line.startswith("flywheel")]
    for command, output in zip(commands, outputs, strict=True):
        assert output == command.output or walkthrough.matches(command.output, output), f"$ {command.line}\n{output}"


def test_what_a_page_says_can_be_brought_up_to_date() -> None:
    page = "text\n\n```console\n$ one\nold\n$ two\nat …\n```\n\nmore\n"
    assert walkthrough.updated(page, ["new\n", "at noon\n"]) == page.replace("old", "new")
