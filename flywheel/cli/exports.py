"""``flywheel export``: labelled rows as Parquet, in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import output
from flywheel.cli.options import AsOfOption, JsonOption, PipelineOption
from flywheel.cli.session import open_database, open_workspace
from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from flywheel.export.manifest import ExportManifest


@dataclass(frozen=True)
class FolderExport:
    """An export in a folder of one's own: where it is, the gate's report, and its manifest (``_export.json``)."""

    folder: Path
    report: Path
    manifest: ExportManifest


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
            "rows": made.manifest.rows,
            "labels": ", ".join(f"{each.label} {each.rows:,}" for each in made.manifest.labels),
            "files": len(made.manifest.files),
            "folder": str(made.folder),
            "gate's report": str(made.report),
        },
        title=f"export {made.manifest.id}",
    )


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
    return FolderExport(Path(target.folder), Path(target.report_uri), manifest)
