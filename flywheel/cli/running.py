"""``flywheel run`` and ``logs``: a flow in this process, and what runs have said."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from flywheel.cli import output
from flywheel.cli.options import AsOfOption, JsonOption, PipelineArgument, PipelineOption
from flywheel.cli.plugins import flow_names, load_flow, load_orchestration, plain_prefect_errors
from flywheel.cli.session import open_database
from flywheel.errors import FlywheelError


def complete_flow(incomplete: str) -> list[str]:
    """The flows that begin with what was typed."""
    return [name for name in flow_names() if name.startswith(incomplete)]


def run_flow(
    flow: Annotated[
        str,
        typer.Argument(
            metavar="FLOW",
            help="infer, join-feedback, measure-performance, check-drift, export-training, retrain, promote, "
            "reconcile, rescore, maintain, backfill, reprofile, backtest.",
            autocompletion=complete_flow,
            show_default=False,
        ),
    ],
    pipeline: PipelineOption,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a flow now, in this process."""
    from flywheel.metadata.queries.pipelines import require_pipeline

    require_pipeline(open_database(), pipeline)
    called = load_flow(flow)
    # What a flow prints on its way is not its answer.
    with contextlib.redirect_stdout(sys.stderr), plain_prefect_errors(), _errors_told_once():
        answer = called(pipeline=pipeline, as_of=as_of)
    if as_json:
        output.print_json(answer)
        return
    facts = _facts(answer)
    if facts:
        output.print_facts(facts, title=f"{flow} {pipeline}")
    else:
        output.say(f"{flow} {pipeline}: done")


def logs(
    name: PipelineArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new lines come, until interrupted.")] = False,
) -> None:
    """Print what a pipeline's runs have logged."""
    from flywheel.metadata.queries.pipelines import require_pipeline

    require_pipeline(open_database(), name)
    lines = 0
    with contextlib.suppress(KeyboardInterrupt), plain_prefect_errors():
        for line in load_orchestration("logs")(name, follow):
            output.say(line)
            lines += 1
    if not lines:
        sys.stderr.write(f"no run of {name} has logged anything; next: flywheel run infer -p {name}\n")


class _ToldAtTheEnd(logging.Filter):
    """Drops what the command says itself, in plain words, when it ends."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours = record.exc_info is not None and isinstance(record.exc_info[1], FlywheelError)
        return not is_ours and not record.getMessage().startswith("Finished in state Failed(")


@contextmanager
def _errors_told_once() -> Iterator[None]:
    """Keep Prefect's tracebacks of our own errors off the console; the server gets them."""
    handlers, told = logging.getLogger().handlers, _ToldAtTheEnd()
    for handler in handlers:
        handler.addFilter(told)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(told)


def _facts(answer: Any) -> dict[str, object]:
    """A flow's answer as names and values: its fields, or itself."""
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(answer, serialize_unknown=True)
    if isinstance(plain, dict):
        return {name.replace("_", " "): value for name, value in plain.items()}
    return {} if plain is None else {"answer": plain}
