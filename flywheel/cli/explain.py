"""``flywheel drift explain``: why a check came to its decision, on one screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import output
from flywheel.cli.options import AnyPipelineOption, JsonOption
from flywheel.cli.session import open_database, open_workspace
from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from flywheel.metadata.queries.drift_checks import Check
    from flywheel.monitoring.recall import Recalled

SHOWN_FEATURES = 6
DRAWN_FEATURES = 6


def explain(
    check: Annotated[
        str | None,
        typer.Argument(
            metavar="CHECK", help="The check's id, or the end of it. Default: the newest.", show_default=False
        ),
    ] = None,
    pipeline: AnyPipelineOption = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.png", help="Draw the histograms as a picture.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show why a drift check came to its decision, with the histograms of what moved most."""
    from flywheel.cli.drift import print_features, print_head, print_joint

    if out is not None and out.suffix != ".png":
        raise typer.BadParameter(f"{out.name} must end in .png", param_hint="--output")
    found = _find(check, pipeline)
    if as_json:
        output.print_json(found)
    else:
        print_head(found)
        print_features(found, SHOWN_FEATURES)
        print_joint(found, SHOWN_FEATURES)
    if not found.features or (as_json and out is None):
        return
    # What is stored has been told by now, should the profiles or the baseline be gone.
    recalled = _recall(found)
    if not as_json:
        _print_histogram(recalled)
    if out is not None:
        _draw(recalled, out)
        typer.echo(f"wrote {out}", err=True)


def _find(check: str | None, pipeline: str | None) -> Check:
    from flywheel.metadata.queries.drift_checks import check_history, find_check

    database = open_database()
    if check is not None:
        return find_check(database, check)
    newest = check_history(database, pipeline, limit=1)
    if not newest:
        raise FlywheelError("no drift check so far", next_step=f"flywheel run check-drift -p {pipeline or 'NAME'}")
    return newest[0]


def _recall(check: Check) -> Recalled:
    from flywheel.context import Connections, open_pipeline
    from flywheel.monitoring.recall import recall_check

    return recall_check(open_pipeline(open_workspace(), check.pipeline, Connections()), check)


def _print_histogram(recalled: Recalled) -> None:
    from flywheel.drift.picture import histogram_text

    if not recalled.is_whole:
        output.say(f"of {recalled.check.rows:,} rows, the profiles of {recalled.rows:,} are left; drawn from those:")
    output.say(histogram_text(recalled.baseline, recalled.counts, recalled.check.features[:1]))


def _draw(recalled: Recalled, out: Path) -> None:
    from flywheel.drift.picture import histogram_png

    out.write_bytes(histogram_png(recalled.baseline, recalled.counts, recalled.check.features[:DRAWN_FEATURES]))
