"""``flywheel validate`` and ``apply``: manifests, read and put into service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from flywheel.cli import output
from flywheel.cli.options import JsonOption, ManifestOption
from flywheel.cli.plugins import load_orchestration, plain_prefect_errors
from flywheel.cli.session import open_database, open_workspace
from flywheel.errors import ManifestError

if TYPE_CHECKING:
    from flywheel.manifest.bundle import Bundle
    from flywheel.manifest.problems import Problem


@dataclass(frozen=True)
class FoundDocument:
    """A document that is valid, and where it is."""

    kind: str
    name: str
    file: str


@dataclass(frozen=True)
class ValidationReport:
    """Every document, or every problem with its file, line, path, value and message."""

    valid: bool
    documents: list[FoundDocument]
    problems: list[Problem]


def validate(files: ManifestOption, as_json: JsonOption = False) -> None:
    """Check manifests; nothing is changed.

    Reads the documents beside the pipelines too. Exits with 2, after naming every problem with its file and line, if
    anything is wrong.
    """
    from flywheel.manifest.load import load_whole

    try:
        documents = _documents(load_whole(files))
    except ManifestError as error:
        if not as_json:
            raise
        output.print_json(ValidationReport(False, [], list(error.problems)))
        raise typer.Exit(2) from None
    if as_json:
        output.print_json(ValidationReport(True, documents, []))
        return
    for file in dict.fromkeys(each.file for each in documents):
        output.say(f"{file}: valid")
        output.say([f"  {each.kind} {each.name}" for each in documents if each.file == file])


def apply(files: ManifestOption) -> None:
    """Put manifests into service.

    Stores revisions, saves blocks and makes deployments. Applying the same files again changes nothing.
    """
    from flywheel.manifest.load import load_whole

    bundle = load_whole(files)
    workspace = open_workspace()
    open_database(workspace)
    with plain_prefect_errors():
        output.say(load_orchestration("apply")(bundle, workspace))


def _documents(bundle: Bundle) -> list[FoundDocument]:
    return [FoundDocument(kind, name, written.file) for (kind, name), written in bundle.written.items()]
