"""The tables about flights in docs/drift.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from flights_open import Figures
from flights_replay import Year

_NAMES = {"log_loss": "log loss", "accuracy": "accuracy", "auc": "AUC"}


def write(page: Path, years: Mapping[str, Year], full: str, days: Mapping[str, Figures]) -> None:
    """Put both tables between the comments that name them."""
    text = page.read_text()
    for name, table in {"flights retrains": retrains(years, full), "flights open": open_days(days)}.items():
        pattern = re.compile(rf"(?<=<!-- make bench-drift writes {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        found = pattern.search(text)
        assert found, f"no place for {name} in {page}"
        text = text[: found.start()] + table + "\n" + text[found.end() :]
    page.write_text(text)


def retrains(years: Mapping[str, Year], full: str) -> str:
    """Each rule's retrains, and its gain over January's model as a share of what ``full``, the most retrains, gains."""
    most = years[full]
    rows = [
        "| rule | retrains | AUC | its gain | log loss | its gain |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        f"| never | 0 | {most.frozen.auc:.3f} | 0 | {most.frozen.log_loss:.3f} | 0 |",
    ]
    for rule, year in sorted(years.items(), key=lambda each: each[1].retrains):
        auc = (year.flywheel.auc - most.frozen.auc) / (most.flywheel.auc - most.frozen.auc)
        loss = (most.frozen.log_loss - year.flywheel.log_loss) / (most.frozen.log_loss - most.flywheel.log_loss)
        rows.append(
            f"| {rule} | {year.retrains} | {year.flywheel.auc:.3f} | {auc:.2f} | {year.flywheel.log_loss:.3f} "
            f"| {loss:.2f} |"
        )
    return "\n".join(rows)


def open_days(days: Mapping[str, Figures]) -> str:
    """Bias and root mean square error at a day's end, of the labelled rows alone and corrected."""
    rows = [
        "| metric | days | labelled rows alone: bias | rmse | corrected: bias | rmse | interval holds the final one |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    rows += [
        f"| {_NAMES[name]} | {found.days} | {found.naive_bias:+.4f} | {found.naive_rmse:.4f} "
        f"| {found.corrected_bias:+.4f} | {found.corrected_rmse:.4f} | {found.covered:.0%} |"
        for name, found in days.items()
    ]
    return "\n".join(rows)
