"""The demo's report as a table in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from deployments.demo.figures import Month, Report


def print_table(report: Report, console: Console) -> None:
    """Print the report as a table, a line a month."""
    table = Table(title="The loop on the flights of 2013: lands more than 30 minutes late?")
    for name in ("month", "flights", "labelled", "AUC frozen", "AUC flywheel", "log loss frozen", "log loss flywheel"):
        table.add_column(name, justify="left" if name == "month" else "right")
    table.add_column("drift", justify="right")
    table.add_column("retrains", justify="right")
    for month in report.months:
        table.add_row(
            *_cells(month.month, f"{month.flights:,}", f"{month.labelled:.1%}", month, month.drift, month.retrains)
        )
    table.add_section()
    flights = sum(month.flights for month in report.months)
    drift = sum(month.drift for month in report.months)
    table.add_row(*_cells("mean", f"{flights:,}", "", report, drift, report.retrains), style="bold")
    console.print(table)


def _cells(name: str, flights: str, labelled: str, both: Month | Report, drift: int, retrains: int) -> list[str]:
    frozen, flywheel = both.frozen, both.flywheel
    figures = [frozen.auc, flywheel.auc, frozen.log_loss, flywheel.log_loss]
    return [name, flights, labelled, *(f"{figure:.3f}" for figure in figures), str(drift), str(retrains)]
