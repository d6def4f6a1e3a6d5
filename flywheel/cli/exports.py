"""``flywheel export``: labelled rows as Parquet, in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli import output
from flywheel.cli.options import AsOfOption, JsonOption, PipelineOption
from flywheel.cli.session import open_database, open_workspace
from flywheel.errors import FlywheelError


@dataclass(frozen=True)
class FolderExport:
    """An export in a folder of one's own: rows by label, the Parquet files under ``folder``, the gate's report."""

    id: str
    as_of: datetime
    rows: int
    labels: dict[str, int]
    folder: str
    files: list[str]
    report: str


def export(
    pipeline: PipelineOption,
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder that gets the export.")],
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export labelled rows to a folder.

    They are sampled and checked as the pipeline's manifest says.
    """
    made = _export(pipeline, out.absolute(), as_of or datetime.now(UTC))
    if as_json:
        output.print_json(made)
        return
    output.print_facts(
        {
            "rows": made.rows,
            "labels": output.counts(made.labels),
            "folder": _from_here(made.folder),
            "files": len(made.files),
            "gate's report": _from_here(made.report),
        },
        title=f"export {made.id}",
    )


def _from_here(path: str) -> str:
    """Shorten a path below the working directory, as its user would type it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _export(name: str, out: Path, as_of: datetime) -> FolderExport:
    from flywheel.context import Connections, open_pipeline
    from flywheel.export.publish import ExportTarget
    from flywheel.retraining.export import publish_labelled_rows

    workspace = open_workspace()
    open_database(workspace)
    context = open_pipeline(workspace, name, Connections())
    export_id = f"{name}-{as_of:%Y%m%dT%H%M%SZ}"
    target = ExportTarget(id=export_id, destination_uri=str(out), docs_uri=str(out / f"{export_id}.report"))
    manifest = publish_labelled_rows(context, target, as_of)
    if manifest is None:
        raise FlywheelError(
            f"pipeline {name!r} has no labelled predictions as of {as_of:%Y-%m-%d %H:%M} UTC",
            state="nothing was exported",
            next_step=f"flywheel run infer -p {name}, then flywheel run join-feedback -p {name}",
        )
    return FolderExport(
        id=export_id,
        as_of=as_of,
        rows=manifest.rows,
        labels={each.label: each.rows for each in manifest.labels},
        folder=target.folder,
        files=[file.path for file in manifest.files],
        report=target.report_uri,
    )
