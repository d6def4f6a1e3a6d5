"""``flywheel graph``: a pipeline as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import output
from flywheel.cli.completion import complete_pipeline
from flywheel.cli.options import JsonOption
from flywheel.cli.session import open_database
from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from flywheel.manifest.pipeline import Pipeline

FORMATS = (".svg", ".png", ".mmd")


def graph(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="A pipeline in service.", autocompletion=complete_pipeline, show_default=False
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", metavar="PATH", help="Draw a manifest that need not be applied."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write a .png, .svg or .mmd (Mermaid) file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a pipeline: what flows where."""
    from flywheel.manifest.graph import pipeline_graph
    from flywheel.manifest.graph_text import to_text

    if out is not None and out.suffix not in FORMATS:
        raise typer.BadParameter(f"{out.name} must end in {', '.join(FORMATS)}", param_hint="--output")
    drawn = pipeline_graph(_pipeline(name, files))
    if out is not None:
        from flywheel.manifest.draw import draw

        draw(drawn, out)
    if as_json:
        output.print_json(drawn)
    else:
        output.say(f"wrote {out}" if out is not None else to_text(drawn))


def _pipeline(name: str | None, files: list[Path] | None) -> Pipeline:
    if files:
        from flywheel.manifest.load import load

        bundle = load(files)
        if name is None and len(bundle.pipelines) != 1:
            raise FlywheelError(
                f"the files hold {len(bundle.pipelines)} pipelines: {', '.join(bundle.pipelines) or 'none'}",
                next_step="flywheel graph NAME -f PATH",
            )
        return bundle.pipeline(name or next(iter(bundle.pipelines)))
    if name is None:
        raise typer.BadParameter("give the NAME of a pipeline in service, or a manifest with -f")
    from flywheel.metadata.revisions import Revisions

    return Revisions(open_database()).current(name).pipeline
