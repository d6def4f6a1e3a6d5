"""Runs in Evidently's own environment: its default drift method on every column of every window.

The same functions that ``DataDriftPreset`` calls for a column (``get_stattest`` with no method named, then the test),
without the drawing of its report; one report is made, to see that both say the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Read reference.parquet, windows.parquet and columns.json; write evidently.parquet."""
    import pandas as pd
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    columns = json.loads((folder / "columns.json").read_text())
    windows = dict(list(pd.read_parquet(folder / "windows.parquet").groupby("stream")))
    found = []
    for stream, reference in pd.read_parquet(folder / "reference.parquet").groupby("stream"):
        chosen = {}
        known = {feature: reference[feature].dropna() for feature in set(columns.values())}
        for check, window in windows[stream].groupby("check"):
            for column, feature in columns.items():
                is_number = pd.api.types.is_numeric_dtype(reference[feature])
                kind = ColumnType.Numerical if is_number else ColumnType.Categorical
                current = window[column].dropna()
                if column not in chosen:
                    chosen[column] = get_stattest(known[feature], current, kind, None)
                result = chosen[column](known[feature], current, kind, None)
                score = float(result.drift_score) / result.actual_threshold
                found.append((stream, check, column, score, bool(result.drifted)))
        if len(found) == len(columns) * len(windows[stream]["check"].unique()):
            _compare_with_report(reference, windows[stream], columns, found)
    names = ["stream", "check", "column", "score", "alarm"]
    pd.DataFrame(found, columns=names).to_parquet(folder / "evidently.parquet")


def _compare_with_report(reference, windows, columns, found) -> None:
    """The report on the first window has the same number for each feature."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    features = sorted(set(columns.values()))
    first = windows[windows["check"] == windows["check"].min()]
    report = Report([DataDriftPreset()]).run(first[features], reference[features]).dict()
    said = {
        metric["config"]["column"]: float(metric["value"]) / metric["config"]["threshold"]
        for metric in report["metrics"]
        if metric["config"]["type"].endswith("ValueDrift")
    }
    assert said.keys() == set(features), said
    for _, _, column, score, _ in found[: len(columns)]:
        assert column not in said or abs(said[column] - score) < 1e-9, (column, said[column], score)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
