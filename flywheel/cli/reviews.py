"""``flywheel review``: candidates that wait for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import output
from flywheel.cli.options import JsonOption, ModelArgument
from flywheel.cli.session import open_database

if TYPE_CHECKING:
    from flywheel.metadata.queries.reviews import Decision

app = typer.Typer(
    help="Decide on candidates.\n\nThe next promote run acts on a decision.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", min=1, show_default=False)]
CommentOption = Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="Why; kept with the decision.")]


@app.command("list")
def list_all(
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False, as_json: JsonOption = False
) -> None:
    """List the candidates that wait for a decision."""
    from flywheel.metadata.queries.reviews import list_reviews

    found = list_reviews(open_database(), pending_only=not every)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("no candidate has been put to review" if every else "no candidate waits for a decision")
        return
    table = output.table("model", "version", "asked (UTC)", "evaluation", "decision", "comment", numbers=("version",))
    for each in found:
        metrics = ", ".join(f"{name} {output.show(value)}" for name, value in each.metrics.items())
        output.add_row(table, each.model_id, each.version, each.asked_at, metrics, each.decision, each.comment)
    output.console().print(table)


@app.command()
def approve(model: ModelArgument, version: VersionArgument, comment: CommentOption = "") -> None:
    """Approve a candidate."""
    _decide(model, version, "approved", comment)


@app.command()
def decline(model: ModelArgument, version: VersionArgument, comment: CommentOption = "") -> None:
    """Decline a candidate."""
    _decide(model, version, "declined", comment)


def _decide(model: str, version: int, decision: Decision, comment: str) -> None:
    from flywheel.metadata.queries.reviews import decide_review

    decided = decide_review(open_database(), model, version, decision, comment)
    output.say(f"{model} version {version}: {decided.decision}; next: flywheel run promote -p {decided.pipeline}")
