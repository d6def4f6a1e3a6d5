"""``flywheel quarantine``: records and events that could not be used, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import output
from flywheel.cli.options import JsonOption, PipelineOption
from flywheel.cli.session import open_database, open_workspace

if TYPE_CHECKING:
    from flywheel.records.refused import RefusedReason

app = typer.Typer(
    help="Look at records and events that could not be used.", no_args_is_help=True, rich_markup_mode=None
)
_EXAMPLE_CHARACTERS = 300


@app.command("list")
def list_reasons(
    pipeline: PipelineOption,
    days: Annotated[float, typer.Option("--days", min=0, help="How far back from the newest batch.")] = 7,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many reasons, the commonest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the reasons of the last days: how many records or events each has, and one of them."""
    found = _reasons(pipeline, days, limit)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say(f"nothing of the last {days:g} days is in quarantine")
        return
    for each in found:
        _print(each)
    output.say("They are not read again: mend them and put them into a new file, or correct the manifest before that.")


def _reasons(pipeline: str, days: float, limit: int) -> list[RefusedReason]:
    from flywheel.context import Connections, open_pipeline
    from flywheel.records.refused import refused_reasons

    workspace = open_workspace()
    database = open_database(workspace)
    context = open_pipeline(workspace, pipeline, Connections())
    return refused_reasons(context.tables.quarantine, database, pipeline, days, limit)


def _print(found: RefusedReason) -> None:
    example = found.example
    batches = f"batch {found.last_batch}"
    if found.first_batch != found.last_batch:
        batches = f"batches {found.first_batch} to {found.last_batch}"
    kind = "event" if found.feed == "feedback" else "record"
    counted = f"{found.records:,} {kind}{'' if found.records == 1 else 's'}, {batches}"
    output.print_facts(
        {
            "example": f"{example.part}, row {example.row}"
            + (f", id {example.prediction_id}" if example.prediction_id else ""),
            "its reason": example.reason if example.reason != found.reason else None,
            "its text": (example.record or "")[:_EXAMPLE_CHARACTERS],
        },
        title=f"{found.reason}: {counted}",
    )
    output.say("")
