"""``flywheel health``: is the loop turning?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from flywheel.cli import output
from flywheel.cli.options import JsonOption, PipelineArgument
from flywheel.cli.session import open_database

if TYPE_CHECKING:
    from flywheel.metadata.queries.health import PipelineHealth

app = typer.Typer(
    help="Say whether the loop is turning.\n\nNames what is wrong where it is not, and exits with 1 then.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def overall(context: typer.Context, as_json: JsonOption = False) -> None:
    if context.invoked_subcommand is not None:
        return
    from flywheel.metadata.queries.health import workspace_health

    found = workspace_health(open_database(), datetime.now(UTC))
    if as_json:
        output.print_json(found)
    elif not found.pipelines:
        output.say("no pipeline is in service; next: flywheel apply -f MANIFEST")
    else:
        _print_overview(found.pipelines)
    if not found.healthy:
        raise typer.Exit(1)


@app.command("pipeline")
def one_pipeline(name: PipelineArgument, as_json: JsonOption = False) -> None:
    """Show the health of one pipeline.

    Exits with 1 if anything is wrong.
    """
    from flywheel.metadata.queries.health import pipeline_health

    found = pipeline_health(open_database(), name, datetime.now(UTC))
    if as_json:
        output.print_json(found)
    else:
        _print_pipeline(found)
    if not found.healthy:
        raise typer.Exit(1)


def _print_overview(pipelines: list[PipelineHealth]) -> None:
    table = output.table("pipeline", "health", "last batch", "committed", "backlog", "drift", "champion")
    for each in pipelines:
        check = each.last_drift_check
        table.add_row(
            output.escaped(each.pipeline),
            _health(each),
            output.show(each.last_batch),
            output.ago(each.last_batch_age_seconds),
            output.show(each.backlog),
            output.show(check.severity if check and check.outcome == "drift" else check and check.outcome),
            output.show(each.champion),
        )
    out = output.console()
    out.print(table)
    for each in pipelines:
        for problem in each.problems:
            out.print(f"[red]✗[/] {output.escaped(each.pipeline)}: {output.escaped(problem)}", soft_wrap=True)


def _print_pipeline(found: PipelineHealth) -> None:
    check = found.last_drift_check
    share, fallback = found.quarantine_share, found.fallback_share
    age = output.ago(found.last_batch_age_seconds)
    out = output.console()
    out.print(f"[bold]{output.escaped(found.pipeline)}[/]  {_health(found)}")
    output.print_facts(
        {
            "last batch": f"{found.last_batch}, committed {age}" if found.last_batch is not None else None,
            "backlog": f"{found.backlog} planned, not committed",
            "quarantined": f"{share:.2%} of the last batches' records" if share is not None else None,
            "fallback": f"{fallback:.2%} of the last batches' records" if fallback is not None else None,
            "waiting": f"{found.waiting_rows:,} rows for rescore",
            "model server": "; ".join(f"{each.endpoint} {each.state}" for each in found.breakers),
            "undelivered": "; ".join(f"{each.sink}: {each.batches} batches" for each in found.undelivered),
            "last drift check": f"{check.outcome.replace('_', ' ')}, severity {check.severity}, "
            f"as of {output.show(check.as_of)} UTC"
            if check
            else None,
            "champion": f"{found.model_id} version {found.champion}" if found.champion is not None else None,
        }
    )
    for problem in found.problems:
        out.print(f"[red]✗[/] {output.escaped(problem)}", soft_wrap=True)


def _health(found: PipelineHealth) -> str:
    if not found.healthy:
        return "[red]unhealthy[/]"
    return "[green]healthy[/]" if found.enabled else "[yellow]healthy, disabled[/]"
