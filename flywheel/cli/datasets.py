"""``flywheel dataset``: data to try the bundled pipelines on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli import output

DAYS = ["%Y-%m-%d"]

app = typer.Typer(help="Write the files that the bundled pipelines read.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def flights(
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to.")] = Path(".flywheel/flights"),
    first: Annotated[
        datetime,
        typer.Option(
            "--from", metavar="DATE", formats=DAYS, show_default=False, help="The first day (UTC). Default: 2013-02-01."
        ),
    ] = datetime(2013, 2, 1),  # noqa: DTZ001
    last: Annotated[
        datetime,
        typer.Option(
            "--to", metavar="DATE", formats=DAYS, show_default=False, help="The last day (UTC). Default: 2013-12-31."
        ),
    ] = datetime(2013, 12, 31),  # noqa: DTZ001
) -> None:
    """Write real flights of 2013, their landings, and a labelled January (pipeline flight-delays)."""
    from flywheel.datasets.flights import write_flights

    count = write_flights(out, first.date(), last.date())
    output.say(f"wrote {count:,} flights and their landings to {out}")


@app.command("service-metrics")
def service_metrics(
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to.")] = Path(
        ".flywheel/service-metrics"
    ),
    start: Annotated[
        datetime,
        typer.Option(
            "--from", metavar="DATE", formats=DAYS, show_default=False, help="The first day (UTC). Default: 2026-01-01."
        ),
    ] = datetime(2026, 1, 1),  # noqa: DTZ001
    days: Annotated[int, typer.Option("--days", min=1, help="How many days.")] = 14,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, other numbers.")] = 0,
    drift_from: Annotated[
        int | None, typer.Option("--drift-from", metavar="DAY", min=0, help="Let cpu rise from this day on.")
    ] = None,
    drift_rate: Annotated[float, typer.Option("--drift-rate", help="By how many points a day.")] = 2.0,
    bad_records: Annotated[int, typer.Option("--bad-records", min=0, help="How many records are spoiled.")] = 0,
) -> None:
    """Write generated metrics with incidents, and a week of history (pipeline anomaly-detection)."""
    from flywheel.datasets.service_metrics import write_service_metrics
    from flywheel.datasets.signals import Drift

    count = write_service_metrics(
        out,
        days,
        seed,
        start=start.replace(tzinfo=UTC),
        drift=Drift(drift_from, drift_rate) if drift_from is not None else None,
        bad_records=bad_records,
    )
    output.say(f"wrote {count:,} records and their incidents to {out}")
