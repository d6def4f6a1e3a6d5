"""The options that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.completion import complete_model, complete_pipeline


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 date or time; without a zone it is UTC.

    >>> parse_time("2013-02-01"), parse_time("2013-02-01T00:00:00-05:00").isoformat()
    (datetime.datetime(2013, 2, 1, 0, 0, tzinfo=datetime.timezone.utc), '2013-02-01T05:00:00+00:00')
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a time such as 2013-02-01 or 2013-02-01T06:00:00Z") from error
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
PipelineOption = Annotated[
    str, typer.Option("--pipeline", "-p", metavar="NAME", help="The pipeline.", autocompletion=complete_pipeline)
]
AnyPipelineOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline", "-p", metavar="NAME", help="Only this pipeline. Default: all.", autocompletion=complete_pipeline
    ),
]
PipelineArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The pipeline.", autocompletion=complete_pipeline, show_default=False)
]
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="The model's id.", autocompletion=complete_model, show_default=False)
]
ManifestOption = Annotated[
    list[Path],
    typer.Option(
        "--file", "-f", metavar="PATH", help="A manifest, or a folder of them; can be given more than once.",
        show_default=False,
    ),
]  # fmt: skip
AsOfOption = Annotated[
    datetime | None,
    typer.Option(
        "--as-of", metavar="TIME", parser=parse_time, show_default=False,
        help="Run as if it were this time (ISO 8601; without a zone: UTC). Default: now.",
    ),
]  # fmt: skip
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, the newest first.")]
